"""What a recipe may say, how its file is read and changed, and what is built from it."""
