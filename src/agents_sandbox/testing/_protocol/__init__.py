"""What a release of the daemon speaks: its dialect, its features, its specs and its refusals."""
