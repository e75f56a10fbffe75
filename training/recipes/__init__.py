"""The recipes: one TOML file is one training."""
