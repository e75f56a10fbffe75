"""Models of the registry: read from MLflow, and kept side by side by their versions."""
