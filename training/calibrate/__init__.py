"""A served model's confidence, fitted to labelled pictures of other streets: bundle → bundle. It changes no class."""
