"""Tests of the pytest plugin: each runs its own pytest."""
