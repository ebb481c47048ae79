"""The command line, on the blocking client."""
