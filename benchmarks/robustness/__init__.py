"""What is left of mIoU when pictures are changed, and the figure of it."""
