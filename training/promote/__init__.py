"""From a bundle to a version in the registry that serves."""
