"""The command `doctor`: what works here, what does not, and what to do about it."""

from __future__ import annotations

import enum
import os
import platform
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import InvalidArgumentError, SandboxClientError, UnsupportedDaemonError, __version__
from .._arguments import environment
from .._connection.address import DaemonAddress
from .._shared.shown import shown
from .._wire import releases
from .codes import PROBLEM
from .screen import print_items, print_rows
from .settings import Settings, command
from .words import said

_OTHER = "agents-sandbox-sdk"

# A path that is quoted before it can have a full stop, too.
_ADVICE = re.compile(r"(.+)\. ([A-Z][^./\"]*)", re.DOTALL)


class Verdict(enum.Enum):
    """What a finding means."""

    OK = 1
    NOTE = 2
    PROBLEM = 3


@dataclass(frozen=True)
class Finding:
    """What was looked at, what it means, what was found, and what to do if there is anything."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


_COLUMNS: dict[str, Callable[[Finding], object]] = {
    "CHECK": lambda finding: finding.check,
    "VERDICT": lambda finding: finding.verdict,
    "FOUND": lambda finding: finding.found,
    "ADVICE": lambda finding: finding.advice,
}


@command
def doctor(settings: Settings) -> int:
    """Check the SDK, the socket and the daemon, and say what to do.

    The exit code is 0 if there is no problem; a note is none.
    """
    findings = [*_look(settings)]
    if settings.json or not sys.stdout.isatty():
        print_items(settings, findings, _COLUMNS)
    else:
        print_rows(_lines(findings), ("", "", ""))
    return PROBLEM if any(finding.verdict is Verdict.PROBLEM for finding in findings) else 0


def _lines(findings: Iterable[Finding]) -> Iterator[tuple[object, ...]]:
    for finding in findings:
        yield finding.verdict, finding.check, finding.found
        if finding.advice:
            yield "", "", f"-> {finding.advice}"


def _look(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other, up to the first that nothing works without."""
    yield _look_at_sdk()
    yield _look_at_other_sdk()
    yield from _drop_bad_variables()
    try:
        path, origin = DaemonAddress(settings.socket).resolve()
    except SandboxClientError as error:
        yield _problem("socket", error)
        return
    origin = "--socket" if settings.socket else origin
    yield Finding("socket", Verdict.OK, f"{path} (from {origin})")
    trouble = DaemonAddress(path).trouble()
    if trouble is not None:
        found = ", ".join((trouble.what, *_permissions(path)))
        yield Finding("access", Verdict.PROBLEM, found, trouble.advice)
        return
    found = ", ".join(("accepts connections", *_permissions(path)))
    yield Finding("access", Verdict.OK, found)
    yield from _look_at_daemon(settings)


def _look_at_sdk() -> Finding:
    parts = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "protobuf"))
    python = f"Python {platform.python_version()}"
    return Finding("SDK", Verdict.OK, f"agents-sandbox {__version__}, {python}, {parts}")


def _look_at_other_sdk() -> Finding:
    try:
        found = f"{_OTHER} {version(_OTHER)} is installed, too: each overwrites files of the other"
    except PackageNotFoundError:
        return Finding("other SDK", Verdict.OK, f"{_OTHER} is not installed")
    advice = f"pip uninstall {_OTHER}; pip install --force-reinstall --no-deps agents-sandbox"
    return Finding("other SDK", Verdict.PROBLEM, found, advice)


def _drop_bad_variables() -> list[Finding]:
    """Unset the variables that the client refuses: the other checks do not need them."""
    findings = []
    for name, error in environment.bad_variables():
        advice = f"Change {name}, or unset it"
        findings.append(Finding("environment", Verdict.PROBLEM, str(error), advice))
        del os.environ[name]
    return findings


def _problem(check: str, error: SandboxClientError) -> Finding:
    """Make a finding of an error, the last sentence of whose message may be advice."""
    message = said(error)
    sentences = _ADVICE.fullmatch(message)
    found, advice = sentences.groups() if sentences else (message, "")
    return Finding(check, Verdict.PROBLEM, found, advice)


def _permissions(path: str) -> Iterator[str]:
    """Return the mode and the owners, if there is a file to look at."""
    file = Path(path)
    try:
        mode = stat.filemode(file.stat().st_mode)
    except OSError:
        return
    owners = []
    for find in (file.owner, file.group):
        try:
            owners.append(find())
        except (KeyError, OSError):
            owners.append("?")
    yield f"{mode} {':'.join(owners)}"


def _look_at_daemon(settings: Settings) -> Iterator[Finding]:
    try:
        with settings.client() as client:
            answer = client.ping(timeout_seconds=settings.timeout)
    except InvalidArgumentError:  # of an option
        raise
    except SandboxClientError as error:
        yield Finding(
            "daemon",
            Verdict.PROBLEM,
            f"no answer to ping: {error.details or error}",
            "Try again: it may be shutting down. Or pass the socket of an agents-sandbox daemon",
        )
        return
    if answer.daemon != "agboxd":
        yield Finding(
            "daemon",
            Verdict.PROBLEM,
            f"the peer calls itself {shown(answer.daemon)}",
            "Pass the socket of an agents-sandbox daemon",
        )
        return
    yield Finding("daemon", Verdict.OK, f"{answer.daemon} {answer.version}")
    yield _look_at_release(answer.version)


def _look_at_release(reported: str) -> Finding:
    base, release = releases.base_release(reported), releases.parse_release(reported)
    try:
        if base is not None:
            releases.check_supported(base, reported)
    except UnsupportedDaemonError as error:
        return _problem("release", error)
    if release is None:
        found = "a build that is no release: the SDK finds out what works when it needs to know"
        return Finding("release", Verdict.OK, found)
    if release > releases.NEWEST:
        found = f"newer than this SDK, which treats it like {releases.NEWEST}"
        return Finding("release", Verdict.NOTE, found, "Upgrade the SDK")
    later: dict[releases.Release, list[str]] = {}
    for name, since in releases.SINCE.items():
        if release < since:
            later.setdefault(since, []).append(name)
    if not later:
        return Finding("release", Verdict.OK, "everything works")
    missing = (f"{', '.join(names)} (since {since})" for since, names in later.items())
    return Finding(
        "release",
        Verdict.NOTE,
        f"everything works but these arguments of create_sandbox: {', '.join(missing)}",
        f"Upgrade the daemon to {releases.NEWEST} if you need them",
    )
