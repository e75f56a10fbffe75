"""What it costs to take files in."""
