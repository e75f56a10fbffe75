"""The ways to draw: perspective, canvas, pen, tones and noise."""
