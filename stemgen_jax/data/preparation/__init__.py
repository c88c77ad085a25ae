"""From songs to pairs, and from pairs to codes on disk."""
