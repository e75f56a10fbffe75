"""Rows of keys, and of what was asked with them."""
