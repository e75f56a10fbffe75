"""Training runs as MLflow keeps them: read through its client, drawn as curves, told in words."""
