"""A daemon that takes a moment for everything, so that every wait has events to follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from agents_sandbox import _deadline
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

_MOMENT = 0.003


@contextmanager
def brief_daemon(release: str) -> Iterator[FakeDaemon]:
    """Run the daemon; the command `brief` ends after a moment, `sleep` and `hello` never end.

    `hello` and `greet` write one word.

    The image `broken` does not exist.

    The lookouts of clients, too, end a moment after the last stream.
    """
    with (
        patch.object(_deadline, "LOOK_SECONDS", _MOMENT),
        patch.object(_deadline, "SHORTEST_PAUSE_SECONDS", _MOMENT),
        patch.object(_deadline, "LONGEST_PAUSE_SECONDS", _MOMENT),
        FakeDaemon(
            version=release,
            ready_delay=_MOMENT,
            stop_delay=_MOMENT,
            containers={"broken": ContainerBehavior(error="No such image: broken")},
        ) as daemon,
    ):
        daemon.on_exec(("sleep",)).never()
        daemon.on_exec(("brief",)).after(_MOMENT).exit(0)
        daemon.on_exec(("hello",)).stdout("hello").never()
        daemon.on_exec(("greet",)).stdout("hello").after(_MOMENT).exit(0)
        yield daemon
        daemon.assert_no_leaks()
