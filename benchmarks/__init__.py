"""Benchmarks. Run `python -m benchmarks.NAME --help` in the root of the repository."""
