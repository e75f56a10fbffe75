"""Holding answers open until jobs change: long polls, `Prefer: wait`, streams."""
