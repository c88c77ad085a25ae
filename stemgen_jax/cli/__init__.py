"""The command line: dispatch, help and what several commands share."""
