"""Several models in one job: what is told of how far they agree, and of who is right."""
