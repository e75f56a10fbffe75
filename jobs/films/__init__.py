"""Films among the inputs: their frames become images."""
