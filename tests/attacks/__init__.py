"""Attacks on the limits of a real stack, while a bystander with a key of its own has single pictures segmented."""
