"""Songs, pairs of context and target, and codes on disk."""
