"""What several architectures share: encoders, weights, layers that export, errors."""
