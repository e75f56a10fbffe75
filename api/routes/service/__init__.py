"""How the service does: whether it answers, what it may be asked, its numbers."""
