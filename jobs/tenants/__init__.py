"""Who may call, how much of it, and whose turn it is."""
