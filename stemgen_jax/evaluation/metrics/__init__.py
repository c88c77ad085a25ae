"""What is measured in stems and mixes."""
