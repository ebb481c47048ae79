"""Importing this module fails where the SDK cannot work."""

import os

if not hasattr(os, "register_at_fork"):
    raise ImportError(
        "agents_sandbox requires Linux or macOS: the daemon listens on a Unix socket. "
        "On Windows, run Python in WSL, beside the daemon",
        name="agents_sandbox",
    )
