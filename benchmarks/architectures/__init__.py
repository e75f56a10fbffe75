"""Which architecture learns fastest, and which is fast? All of them with one budget, one formula, one clock."""
