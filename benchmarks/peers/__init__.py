"""What others do with the same model, the same pictures in and the same files out."""
