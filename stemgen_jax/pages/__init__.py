"""HTML pages and pictures of audio and figures."""
