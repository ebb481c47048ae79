"""Isolated commands: each sandbox has its own file system and its own process tree."""
