"""Where the cassette of a test is, and whether to record it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox.testing import FakeDaemon, Recorder

from ._marker import DaemonSetup, refuse
from ._options import in_ci, record_mode, record_socket
from ._outcome import fail, passed

_UNSAFE = re.compile(r"[^\w.,=+\[\]-]")


def cassette_of(node: pytest.Item | pytest.Collector, setup: DaemonSetup) -> Path | None:
    """Return the path of a test's cassette; None: it has none."""
    written = setup.options.get("cassette")
    if written in (None, False):
        return None
    if written is True:
        if not isinstance(node, pytest.Item):
            refuse(node, "cassette=True requires a daemon for each test: name a file instead")
        name = _UNSAFE.sub("_", ".".join(node.nodeid.split("::")[1:]))
        return node.path.parent / "cassettes" / f"{name}.json"
    if not isinstance(written, (str, os.PathLike)):
        refuse(node, f"cassette= must be True or a path: {written!r:.200}")
    return node.path.parent / written


def with_cassette(node: pytest.Item | pytest.Collector, setup: DaemonSetup) -> dict[str, Any]:
    """Return the arguments of a test's daemon, with its cassette unless that is recorded now."""
    options = dict(setup.options)
    options.pop("cassette", None)
    cassette = cassette_of(node, setup)
    if cassette is None or record_mode(node.config, cassette) is not None:
        return options
    if not cassette.exists():
        why = "CI is set, so nothing is recorded" if in_ci() else "pass --agents-sandbox-record"
        fail(f"{node.nodeid} has no cassette at {cassette}: {why}")
    return {**options, "cassette": cassette}


@contextmanager
def socket_for(item: pytest.Item, daemon: FakeDaemon) -> Iterator[str]:
    """Yield the socket for the clients of a test: that of its daemon, or of a recorder."""
    setup = DaemonSetup.of(item)
    cassette = cassette_of(item, setup)
    live, mode = record_socket(item.config), cassette and record_mode(item.config, cassette)
    if live is None or cassette is None or mode is None:
        yield daemon.socket_path
        return
    keep: Any = mode
    recorder = Recorder(live, cassette=cassette, redact=setup.redact, mode=keep)
    try:
        with recorder:
            yield recorder.socket_path
            if not passed(item):
                recorder.discard()
    except (OSError, RuntimeError, ValueError) as error:
        fail(f"{item.nodeid} cannot be recorded: {error}")
