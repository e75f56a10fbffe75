"""Inputs of images: where their bytes lie, and how somebody looks at them again."""
