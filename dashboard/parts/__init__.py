"""What several pages show alike: numbers in words, tables, an image in the viewer, a job while it runs."""
