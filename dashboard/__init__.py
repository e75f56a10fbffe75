"""The page to look at masks: a client of the HTTP API, by the Python client `maskmill`, and of nothing else."""
