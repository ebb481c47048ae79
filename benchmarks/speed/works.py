"""What is measured, and the goals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .calls import Calls
from .execs import Execs
from .imports import Imports
from .memory import Memory
from .programs import Lab
from .rounds import Figure, at_least
from .waits import WAITS


class Work(Protocol):
    """Something to measure."""

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure it, and yield each figure as soon as it is known."""
        ...


_LIST = 10_000
_EVENTS = 10_000

WORKS: dict[str, tuple[Work, ...]] = {
    "async-ping": (
        Calls(
            "async ping",
            "async",
            "ping",
            400,
            (1, 10, 50),
            cpu=dict.fromkeys((1, 10, 50), at_least(0.95)),
            peer=True,
        ),
    ),
    "async-get": (
        Calls(
            "async get_sandbox",
            "async",
            "get_sandbox",
            300,
            (1, 10, 50),
            cpu=dict.fromkeys((1, 10, 50), at_least(0.85)),
            peer=True,
        ),
    ),
    "blocking-ping": (
        Calls(
            "blocking ping",
            "blocking",
            "ping",
            384,
            (0, 1, 8, 32),
            wall={0: at_least(0.80), **dict.fromkeys((1, 8, 32), at_least(0.95))},
        ),
    ),
    "blocking-get": (
        Calls(
            "blocking get_sandbox",
            "blocking",
            "get_sandbox",
            300,
            (0, 1),
            wall={0: at_least(0.75), 1: at_least(0.85)},
        ),
    ),
    "waits": WAITS,
    "imports": (
        Imports("", "import agents_sandbox"),
        Imports("with the async client", "from agents_sandbox import AgentsSandboxClient"),
        Imports("with the blocking client", "from agents_sandbox import SyncAgentsSandboxClient"),
    ),
    "list": tuple(
        Calls(
            f"{flavour} list_sandboxes, {_LIST:,} sandboxes, each",
            flavour,
            "list_sandboxes",
            1,
            (at_once,),
            each=_LIST,
            server={"list": _LIST},
            rounds=10,
        )
        for flavour, at_once in (("async", 1), ("blocking", 0))
    ),
    "execs": (Execs(),),
    "events": tuple(
        Calls(
            f"{flavour} stream of {_EVENTS:,} events, each",
            flavour,
            "read_events",
            1,
            (at_once,),
            each=_EVENTS,
            arguments={"count": _EVENTS},
            server={"events": _EVENTS},
            peer=flavour == "async",
            rounds=10,
        )
        for flavour, at_once in (("async", 1), ("blocking", 0))
    ),
    "codec": tuple(
        Calls(f"{what}, codec alone", "codec", call, calls, (0,))
        for what, call, calls in (
            ("sandbox of 0.2", "decode_sandbox_v02", 1_000),
            ("sandbox of 0.4", "decode_sandbox_v04", 1_000),
            ("event", "decode_event", 5_000),
        )
    ),
    "memory": (Memory("async", 10), Memory("blocking", 0)),
}
"""By the name for `--only`. The goals are those of the project's issue on speed."""
