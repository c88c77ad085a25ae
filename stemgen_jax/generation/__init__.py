"""Generate takes: requests, the engine, takes and their files."""
