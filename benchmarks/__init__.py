"""Programs that measure; run from the repository's root, `python -m benchmarks.NAME --help`."""
