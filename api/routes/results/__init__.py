"""What is made of results: one file per noun."""
