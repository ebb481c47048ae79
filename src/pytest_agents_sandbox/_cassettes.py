"""Where the cassette of a test is, and whether to record it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox.testing import FakeDaemon, Recorder

from ._marker import DaemonSetup, refuse
from ._options import in_ci, record_mode, record_socket
from ._outcome import fail, passed

_UNSAFE = re.compile(r"[^\w.,=+\[\]-]")
_LONGEST_NAME = 120
"""Bytes. The names of files beside a cassette are longer, and may have 255 bytes."""

_MODE = pytest.StashKey["str | None"]()
"""How the cassette is recorded; None: it is not. Of a test, or of what shares its daemon."""
_MISSING = pytest.StashKey[str]()
"""What to say when a test creates a sandbox, because its cassette is missing."""
_RECORDED = pytest.StashKey[dict[Path, str]]()
"""Which test has recorded each cassette."""


def cassette_of(node: pytest.Item | pytest.Collector, setup: DaemonSetup) -> Path | None:
    """Return the path of a test's cassette; None: it has none."""
    written = setup.options.get("cassette")
    if written in (None, False):
        return None
    if written is True:
        if not isinstance(node, pytest.Item):
            refuse(node, "cassette=True requires a daemon for each test: name a file instead")
        return node.path.parent / "cassettes" / node.path.stem / f"{_file_name(node)}.json"
    if not isinstance(written, (str, os.PathLike)) or not os.fspath(written):
        refuse(node, f"cassette= must be True or a path: {written!r:.200}")
    return node.path.parent / written


def _file_name(item: pytest.Item) -> str:
    test = item.nodeid.partition("::")[2]
    place, bracket, values = test.partition("[")
    name = f"{place.replace('::', '.')}{bracket}{values}"
    safe = _UNSAFE.sub("_", name)
    if safe == name and len(name.encode()) <= _LONGEST_NAME:
        return name
    cut = safe.encode()[:_LONGEST_NAME].decode(errors="ignore")
    return f"{cut}-{sha256(test.encode(errors='backslashreplace')).hexdigest()[:8]}"


def with_cassette(node: pytest.Item | pytest.Collector, setup: DaemonSetup) -> dict[str, Any]:
    """Return the arguments of a test's daemon, with its cassette unless that is recorded now."""
    options = dict(setup.options)
    options.pop("cassette", None)
    cassette = cassette_of(node, setup)
    mode = None if cassette is None else record_mode(node.config, cassette)
    node.stash[_MODE] = mode
    if cassette is None or mode is not None:
        return options
    if cassette.exists():
        return {**options, "cassette": cassette}
    why = "CI is set, so nothing is recorded" if in_ci() else "pass --agents-sandbox-record"
    missing = f"{node.nodeid} has no cassette at {cassette}: {why}"
    if not isinstance(node, pytest.Item):
        fail(missing)
    node.stash[_MISSING] = missing  # the test may skip itself, and then it needs none
    return options


def without_sandboxes(item: pytest.Item, daemon: FakeDaemon) -> AbstractContextManager[object]:
    """Return a block in which creates fail if the cassette of the test is missing."""
    missing = item.stash.get(_MISSING, None)
    if missing is None:
        return nullcontext()
    return daemon.faults.failing("FAILED_PRECONDITION", missing, method="CreateSandbox")


def check_cassette(item: pytest.Item, daemon: FakeDaemon) -> bool:
    """Return whether the test used its cassette, and not a daemon that is recorded.

    It fails a test that created a sandbox where none can be.
    """
    creates = any(call.method == "CreateSandbox" for call in daemon.calls)
    missing = item.stash.get(_MISSING, None)
    if creates and missing is not None and passed(item):
        fail(missing)
    if _mode(item) is None:
        return True
    if creates:
        fail(
            f"{item.nodeid} created sandboxes on agents_sandbox_daemon, but its cassette is "
            "recorded from another daemon: connect to the path of the fixture "
            "agents_sandbox_socket, which is that of either"
        )
    return False


def _mode(item: pytest.Item) -> str | None:
    known = (node.stash[_MODE] for node in reversed(item.listchain()) if _MODE in node.stash)
    return next(known, None)


@contextmanager
def socket_for(item: pytest.Item, daemon: FakeDaemon) -> Iterator[str]:
    """Yield the socket for the clients of a test: that of its daemon, or of a recorder."""
    setup = DaemonSetup.of(item)
    cassette = cassette_of(item, setup)
    live, mode = record_socket(item.config), _mode(item)
    if live is None or cassette is None or mode is None:
        yield daemon.socket_path
        return
    other = item.config.stash.setdefault(_RECORDED, {}).setdefault(cassette, item.nodeid)
    if other != item.nodeid:
        fail(f"{item.nodeid} cannot be recorded: {cassette} is the cassette of {other}, too")
    keep: Any = mode
    try:
        recorder = Recorder(live, cassette=cassette, redact=setup.redact, mode=keep)
        with recorder:
            yield recorder.socket_path
            if not passed(item):
                recorder.discard()
    except (OSError, RuntimeError, ValueError) as error:
        fail(f"{item.nodeid} cannot be recorded: {error}")
