"""The way to the daemon: its socket, and what the failure of a call means."""
