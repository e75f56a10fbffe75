"""What lies around and above: sky, ground, shadows, rain, and what the lens makes of it."""
