"""What the command line and pytest's configuration say."""

from __future__ import annotations

import os
import reprlib
from pathlib import Path
from typing import Literal

import pytest

NEWEST = "0.4.3"
"""The default of `FakeDaemon(version=)`, which is not imported here: gRPC takes long to load."""

ALL = "all"
"""In place of a list of versions: every release."""

RECORD_MODES = ("none", "once", "new_episodes", "rewrite")
"""What happens to cassettes when a live daemon can be recorded."""

RecorderMode = Literal["rewrite", "new_episodes"]
"""How `Recorder` treats a cassette that exists."""

UNSCRIPTED = ("succeed", "fail")
"""What commands without a script can do."""


def add_options(parser: pytest.Parser) -> None:
    """Add the options of the command line and of the configuration."""
    group = parser.getgroup("agents-sandbox", "agents-sandbox daemon")
    group.addoption(
        "--agents-sandbox-socket",
        metavar="PATH",
        help="run the tests against the live daemon at this socket; skip those that need the fake "
        "daemon",
    )
    group.addoption(
        "--agents-sandbox-version",
        metavar="VERSION",
        help="the fake daemon's version for tests whose marker does not set one (default: the ini "
        "option agents_sandbox_version)",
    )
    group.addoption(
        "--agents-sandbox-versions",
        metavar="VERSIONS",
        help="run tests whose marker does not set a version once for each of these versions of "
        "the fake daemon: a list with commas, or all",
    )
    group.addoption(
        "--agents-sandbox-unscripted",
        metavar="|".join(UNSCRIPTED),
        help="what commands that match no on_exec() do where the marker does not say: succeed, or "
        "fail, which fails the test, too (default: the ini option agents_sandbox_unscripted)",
    )
    group.addoption(
        "--agents-sandbox-record",
        metavar="PATH",
        help="record the cassettes of tests that are marked with cassette= from the live daemon at "
        "this socket; if the variable CI is set, nothing is recorded",
    )
    group.addoption(
        "--agents-sandbox-record-mode",
        metavar="|".join(RECORD_MODES),
        help="which cassettes to record: none, once (those that are missing), new_episodes (all: "
        "takes that exist stay, others are appended) or rewrite (all) (default: once)",
    )
    parser.addini(
        "agents_sandbox_version",
        "the fake daemon's version for tests whose marker does not set one",
        default=NEWEST,
    )
    parser.addini(
        "agents_sandbox_unscripted",
        "what commands that match no on_exec() do where the marker does not say: succeed or fail",
        default=UNSCRIPTED[0],
    )


def check_options(config: pytest.Config) -> None:
    """Refuse options that are wrong or exclude each other.

    Raises:
        pytest.UsageError: They are.
    """
    if unscripted(config) not in UNSCRIPTED:
        raise pytest.UsageError(
            "--agents-sandbox-unscripted and the ini option agents_sandbox_unscripted must be "
            f"{' or '.join(UNSCRIPTED)}, not {reprlib.repr(unscripted(config))}"
        )
    if _mode(config) not in RECORD_MODES:
        raise pytest.UsageError(
            f"--agents-sandbox-record-mode must be one of {', '.join(RECORD_MODES)}, not "
            f"{reprlib.repr(_mode(config))}"
        )
    if record_socket(config) is None and _mode(config) not in ("none", "once"):
        raise pytest.UsageError(
            f"--agents-sandbox-record-mode={_mode(config)} requires --agents-sandbox-record"
        )
    if record_socket(config) is not None and live_socket(config) is not None:
        raise pytest.UsageError(
            "pass only one of --agents-sandbox-record and --agents-sandbox-socket"
        )
    names = ("agents_sandbox_version", "agents_sandbox_versions")
    given = [f"--{name.replace('_', '-')}" for name in names if _given(config, name) is not None]
    if given and live_socket(config) is not None:
        raise pytest.UsageError(
            f"{given[0]} sets the version of the fake daemon, but --agents-sandbox-socket selects "
            "a live daemon: pass only one of them"
        )
    if len(given) > 1:
        raise pytest.UsageError(
            "pass only one of --agents-sandbox-version and --agents-sandbox-versions"
        )
    if versions(config) == ():
        raise pytest.UsageError("--agents-sandbox-versions must name a version, or be all")


def live_socket(config: pytest.Config) -> str | None:
    """Return the socket of the live daemon to test against; None: use the fake daemon."""
    return _given(config, "agents_sandbox_socket")


def record_socket(config: pytest.Config) -> str | None:
    """Return the socket of the live daemon to record; None: record nothing."""
    return _given(config, "agents_sandbox_record")


def in_ci() -> bool:
    """Return whether this is a run of continuous integration, which records nothing."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def record_mode(config: pytest.Config, cassette: Path) -> RecorderMode | None:
    """Return how to record a cassette now; None: replay it."""
    mode = _mode(config)
    if record_socket(config) is None or in_ci() or mode == "none":
        return None
    if mode == "new_episodes":
        return "new_episodes"
    return None if mode == "once" and cassette.exists() else "rewrite"


def default_version(config: pytest.Config) -> str:
    """Return the version for tests that do not choose one."""
    return _given(config, "agents_sandbox_version") or str(config.getini("agents_sandbox_version"))


def versions(config: pytest.Config) -> str | tuple[str, ...] | None:
    """Return the versions for tests that do not choose one: a list or `ALL`; None: just one."""
    written = _given(config, "agents_sandbox_versions")
    if written is None or written.strip() == ALL:
        return written and ALL
    return tuple(written.replace(",", " ").split())


def unscripted(config: pytest.Config) -> str:
    """Return what unscripted commands do where the marker does not say."""
    option = _given(config, "agents_sandbox_unscripted")
    return option or str(config.getini("agents_sandbox_unscripted"))


def header(config: pytest.Config) -> str:
    """Say which daemon the tests use."""
    if (socket_path := live_socket(config)) is not None:
        return f"agents-sandbox: live daemon at {socket_path}"
    many = versions(config)
    which = (
        "fake daemons of all releases"
        if many == ALL
        else f"fake daemon {', '.join(many or [default_version(config)])}"
    )
    if (recorded := record_socket(config)) is not None:
        how = "nothing is recorded in CI" if in_ci() else f"records {recorded}, {_mode(config)}"
        which = f"{which}; {how}"
    return f"agents-sandbox: {which}"


def _mode(config: pytest.Config) -> str:
    return _given(config, "agents_sandbox_record_mode") or "once"


def _given(config: pytest.Config, name: str) -> str | None:
    value: str | None = config.getoption(name)
    return value
