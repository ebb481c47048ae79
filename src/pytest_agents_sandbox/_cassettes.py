"""Where the cassette of a test is, and whether to record it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox.testing import FakeDaemon, Recorder

from ._marker import MARK, DaemonSetup, refuse
from ._options import RecorderMode, in_ci, record_mode, record_socket
from ._outcome import fail, passed
from ._versions import VERSION

_UNSAFE = re.compile(r"[^\w.,=+\[\]-]")
_LONGEST_NAME = 120
"""Bytes. The names of files beside a cassette are longer, and may have 255 bytes."""

_SHARED = (
    "a daemon that tests share cannot record it, because each test replays it from the beginning. "
    f"Record it with a test that has its own daemon and {MARK}(cassette=...), or with "
    "agents_sandbox.testing.Recorder"
)


@dataclass(frozen=True)
class _Recording:
    cassette: Path
    mode: RecorderMode
    redact: tuple[str, ...]


_RECORDING = pytest.StashKey["_Recording | None"]()
"""How the cassette of a test is recorded; None: it is not."""
_MISSING = pytest.StashKey[str]()
"""What to say when a test creates a sandbox, because its cassette is missing."""
_RECORDED = pytest.StashKey[dict[Path, str]]()
"""Which test has recorded each cassette."""


def with_cassette(node: pytest.Item | pytest.Collector, setup: DaemonSetup) -> dict[str, Any]:
    """Return the arguments of a test's daemon, with its cassette unless that is recorded now."""
    options = dict(setup.options)
    options.pop("cassette", None)
    node.stash[_RECORDING] = None
    cassette = _cassette_of(node, setup)
    if cassette is None:
        return options
    if options.get("exec_mode", "scripted") != "scripted":
        refuse(node, "cassette= requires exec_mode='scripted': on replay, commands do not run")
    mode = record_mode(node.config, cassette)
    if mode is None and cassette.exists():
        return {**options, "cassette": cassette}
    options.pop("in_order", None)  # of a replay
    if not isinstance(node, pytest.Item):
        problem = "has no cassette at" if mode is None else "cannot record"
        fail(f"{node.nodeid or 'the session'} {problem} {cassette}: {_SHARED}")
    if mode is not None:
        node.stash[_RECORDING] = _Recording(cassette, mode, setup.redact)
        return options
    why = "CI is set, so nothing is recorded" if in_ci() else "pass --agents-sandbox-record"
    # The test may skip itself, and then it needs none.
    node.stash[_MISSING] = f"{node.nodeid} has no cassette at {cassette}: {why}"
    return options


def _cassette_of(node: pytest.Item | pytest.Collector, setup: DaemonSetup) -> Path | None:
    """Return the path of a test's cassette; None: it has none."""
    written = setup.options.get("cassette")
    if written in (None, False):
        return None
    if written is True:
        if not isinstance(node, pytest.Item):
            refuse(node, "cassette=True requires a daemon for each test: name a file instead")
        written = Path("cassettes", node.path.stem, f"{_file_name(node)}.json")
    elif not isinstance(written, (str, os.PathLike)) or not os.fspath(written):
        refuse(node, f"cassette= must be True or a path: {written!r:.200}")
    # The path of a session or a package is that of a folder.
    path = (node.path if node.path.is_dir() else node.path.parent) / written
    # A file has one path, so that two tests that record it are noticed.
    return path.parent.resolve() / path.name


def _file_name(item: pytest.Item) -> str:
    test = _id_without_release(item).partition("::")[2]
    place, bracket, values = test.partition("[")
    name = f"{place.replace('::', '.')}{bracket}{values}"
    safe = _UNSAFE.sub("_", name)
    if safe == name and len(name.encode()) <= _LONGEST_NAME:
        return name
    cut = safe.encode()[:_LONGEST_NAME].decode(errors="ignore")
    return f"{cut}-{sha256(test.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _id_without_release(item: pytest.Item) -> str:
    """Return the id of a test as it is if no option asks for several releases."""
    parameters = getattr(item, "callspec", None)  # which only a function has
    release = None if parameters is None else parameters.params.get(VERSION)
    if release is None:
        return item.nodeid
    file, colons, test = item.nodeid.partition("::")
    place, _, values = test.partition("[")
    others = f"-{values[:-1]}-".replace(f"-{release}-", "-", 1)[1:-1]
    return f"{file}{colons}{place}{others and f'[{others}]'}"


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
    if item.stash.get(_RECORDING, None) is None:
        return True
    if creates:
        fail(
            f"{item.nodeid} created sandboxes on agents_sandbox_daemon, but its cassette is "
            "recorded from another daemon: connect to the path of the fixture "
            "agents_sandbox_socket, which is that of either"
        )
    return False


@contextmanager
def socket_for(item: pytest.Item, daemon: FakeDaemon) -> Iterator[str]:
    """Yield the socket for the clients of a test: that of its daemon, or of a recorder."""
    live, recording = record_socket(item.config), item.stash.get(_RECORDING, None)
    if live is None or recording is None:
        yield daemon.socket_path
        return
    test, cassette = _id_without_release(item), recording.cassette
    other = item.config.stash.setdefault(_RECORDED, {}).setdefault(cassette, test)
    if other != test:
        fail(f"{item.nodeid} cannot be recorded: {cassette} is the cassette of {other}, too")
    try:
        with Recorder(
            live, cassette=cassette, redact=recording.redact, mode=recording.mode
        ) as recorder:
            yield recorder.socket_path
            if not passed(item):
                recorder.discard()
    except (OSError, RuntimeError, ValueError) as error:
        fail(f"{item.nodeid} cannot be recorded: {error}")
