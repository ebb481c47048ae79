"""Cross-check by a stranger: the daemon project's own clients against the fake daemon.

`python -m tests.peers` is no pytest suite: the published clients are imported under the name
of this SDK, so each lives in an environment of its own and only ever meets the fake daemon's
socket. `tox -e peers` runs it against the installed wheel.
"""

MISSING_IMAGE = "example.test/missing:1"
"""What the fake daemon cannot pull."""
