"""Train and evaluate the demo codec."""
