"""Training: configuration, step, checkpoints, the loop."""
