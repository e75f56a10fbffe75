"""What a segmentation is: label spaces, label maps, preprocessing, metrics, artifact formats. NumPy and Pillow only."""
