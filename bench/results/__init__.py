"""Measured numbers: rows, reading and merging, scores with their uncertainty."""
