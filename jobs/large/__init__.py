"""Pictures too large to be held: read, segmented and written by rows."""
