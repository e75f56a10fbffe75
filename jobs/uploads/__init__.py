"""Files that clients bring to the store before the job that uses them."""
