"""The daemon's time: its clock, its background work, and pauses of that work."""
