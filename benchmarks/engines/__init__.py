"""Benchmarks of what runs the models."""
