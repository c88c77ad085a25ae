"""The evaluations that a user can run."""
