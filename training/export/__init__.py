"""From a run to a bundle: export.py is the story, the other files are its steps."""
