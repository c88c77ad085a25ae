"""Metrics of stems, mixes and populations of them."""
