"""Training of the coherence model, on songs of the band."""
