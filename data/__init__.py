"""The sample library and the bundled models."""
