"""Whoever is on the way: vehicles, cyclists, people."""
