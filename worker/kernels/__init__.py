"""Loops over pixels, compiled from C where setup found a compiler; `worker.pipeline` has each in Python too."""
