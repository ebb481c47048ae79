"""An independent cross-check against the daemon project's own clients.

They live on the fake daemon; what users see of them is compared with this SDK; and both are
installed in one environment, in every order.

`python -m tests.peers` is not a pytest suite: the published clients have the import name of this
SDK, so each runs in its own environment and only uses the fake daemon's socket. `tox -e peers` runs
it against the installed wheel.
"""

MISSING_IMAGE = "example.test/missing:1"
"""An image that the fake daemon cannot pull."""
