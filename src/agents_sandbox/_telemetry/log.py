"""The loggers, and a handler for scripts."""

from __future__ import annotations

import logging

from .._surroundings.forks import MUTEX

CALLS = logging.getLogger("agents_sandbox.calls")
"""DEBUG: each attempt to make an RPC. INFO: a command that has no exit code."""

CONNECTION = logging.getLogger("agents_sandbox.connection")
"""INFO: outages, reconnects, requests that are sent again. WARNING: a newer daemon."""

CLEANUP = logging.getLogger("agents_sandbox.cleanup")
"""INFO: deletes that failed or are repeated. WARNING: what is left behind."""

TELEMETRY = logging.getLogger("agents_sandbox.telemetry")
"""WARNING: a hook of OpenTelemetry that raises."""

_PACKAGE = logging.getLogger("agents_sandbox")
_PACKAGE.addHandler(logging.NullHandler())

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_asked = False


def show(level: str) -> None:
    """Write to stderr from a level on. Only the first call has an effect.

    It changes nothing if the application has configured the package's logger. As soon as it has
    configured the root logger, the records go only there.
    """
    global _asked
    with MUTEX:
        first, _asked = not _asked, True
    if not first or _PACKAGE.level != logging.NOTSET or len(_PACKAGE.handlers) > 1:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(lambda _: not logging.getLogger().handlers)
    _PACKAGE.addHandler(handler)
    _PACKAGE.setLevel(level)
