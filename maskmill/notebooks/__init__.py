"""What notebooks and other libraries are given of a job."""
