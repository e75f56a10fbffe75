"""Drawings as SVG that a screen reader can tell of, and that need no colour to be told apart."""
