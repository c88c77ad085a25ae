"""Judging a model: does it listen, and how good is what it plays."""
