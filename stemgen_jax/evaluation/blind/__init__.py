"""The blind listening test: its trials, its page and its answers."""
