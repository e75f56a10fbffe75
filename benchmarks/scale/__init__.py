"""What an image costs, by the number of images of its job."""
