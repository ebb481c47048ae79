"""The releases that a test runs with."""

from __future__ import annotations

import reprlib
from typing import NamedTuple

import pytest

from ._options import ALL, live_socket, versions

VERSION = "_agents_sandbox_version"
"""The fixture with the version of a daemon whose marker does not set one."""
FACTORY = "agents_sandbox_daemon_factory"
"""The fixture that makes daemons that tests share."""


class Version(NamedTuple):
    """The version of daemons that choose none."""

    name: str
    is_one_of_many: bool
    """Whether the test runs once with each of several versions."""


def versions_of(node: pytest.Item, config: pytest.Config) -> list[str] | None:
    """Return the releases to run a test with, one after the other; None: one release.

    Raises:
        pytest.Collector.CollectError: The marker is wrong.
    """
    if live_socket(config) is not None:
        return None
    # The closest first.
    for mark in node.iter_markers("agents_sandbox"):
        if "versions" in mark.kwargs:
            return _all(_checked(node, mark))
        if "version" in mark.kwargs:
            return None
    many = versions(config)
    return None if many is None else _all(many)


def _checked(node: pytest.Item, mark: pytest.Mark) -> str | list[str]:
    written = mark.kwargs["versions"]
    if written == ALL:
        return ALL
    is_list = isinstance(written, (list, tuple)) and all(isinstance(one, str) for one in written)
    if not is_list or not written:
        problem = f"versions= must be 'all' or a list of versions: {reprlib.repr(written)}"
    elif "version" in mark.kwargs:
        problem = "accepts only one of version= and versions="
    else:
        return list(written)
    raise pytest.Collector.CollectError(f"{node.nodeid}: @pytest.mark.agents_sandbox {problem}")


def _all(many: str | list[str] | tuple[str, ...]) -> list[str]:
    if many == ALL:
        from agents_sandbox.testing import RELEASES  # noqa: PLC0415 - imports gRPC

        return list(RELEASES)
    return list(many)
