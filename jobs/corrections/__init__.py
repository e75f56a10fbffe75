"""Corrections: label PNGs that people drew for images of a job, after the model did."""
