"""Summaries, tables and pages of results."""
