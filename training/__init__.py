"""Training, evaluating and exporting models. Serving knows nothing of it: the bundle is what they share."""
