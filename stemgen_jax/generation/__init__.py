"""From a request to a take: contexts, the engine, takes and their files."""
