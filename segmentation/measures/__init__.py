"""Counting and scoring: confusion matrices, metrics, calibration, curves."""
