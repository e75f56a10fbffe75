"""Scores of any model on labelled pictures, and how long one inference takes."""
