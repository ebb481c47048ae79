"""Tests of the pytest plugin: each runs a pytest of its own."""
