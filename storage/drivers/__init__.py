"""How each of the two databases is connected to."""
