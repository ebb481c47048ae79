"""Sandboxes in the hands of a program: objects on top of the client's calls."""
