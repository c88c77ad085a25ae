"""The parts of `launch/benchmark.py`, one per file."""
