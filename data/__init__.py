"""Generated street scenes, the sample library, and the bundled models."""
