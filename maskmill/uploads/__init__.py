"""How the files of a job are sent: in its own request, or ahead of it, several at a time, and on where they stopped."""
