"""Generate stems while the music plays, chunk by chunk, on its bar lines."""
