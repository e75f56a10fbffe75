"""Houses: walls, facades, windows and shops."""
