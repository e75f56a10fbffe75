"""What a job is: submitting, processing, retrying, looking after. Standard library and `segmentation` only."""
