"""HTML pages, plots and pictures of audio."""
