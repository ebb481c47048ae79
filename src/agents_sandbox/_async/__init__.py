"""The client, written once: its blocking twin is generated from this package."""
