"""Which commands a script of a test is for."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ..._shared.shown import shown, shown_id
from .._checks import check_type
from .._protocol.spec import WORKSPACE
from .command import ARGV_LIMIT, Command

ExecMatch = Sequence[str] | Callable[[Sequence[str]], bool]
"""An exact argv, or a function that takes the argv and returns whether it matches."""


@dataclass(frozen=True)
class Match:
    """What a command must have; None: anything."""

    argv: tuple[str, ...] | Callable[[Sequence[str]], bool] | None
    prefix: tuple[str, ...] | None
    cwd: str | None
    env: Mapping[str, str] | None
    sandbox_id: str | None

    def applies(self, command: Command) -> bool:
        """Return whether a command has all of it; a function of the test is called last."""
        if self.differences(command):
            return False
        return self.argv(command.argv) if callable(self.argv) else True

    def differences(self, command: Command) -> list[str]:
        """Say in which respects a command does not match; functions of the test do not count."""
        found = []
        if isinstance(self.argv, tuple) and self.argv != command.argv:
            found.append("the argv differs")
        if self.prefix and self.prefix != command.argv[: len(self.prefix)]:
            found.append("the prefix differs")
        cwd = posixpath.normpath(command.cwd or WORKSPACE)
        if self.cwd not in (None, cwd):
            found.append(f"the cwd is {shown(cwd)}")
        # Values of variables are never shown.
        found += [
            f"variable {shown(name)} {'differs' if name in command.full_env else 'is not set'}"
            for name, value in (self.env or {}).items()
            if command.full_env.get(name) != value
        ]
        if self.sandbox_id not in (None, command.sandbox_id):
            found.append(f"the sandbox is {shown_id(command.sandbox_id)}")
        return found

    def likeness(self, argv: tuple[str, ...]) -> float:
        """Return how close an argv is, from 0 to 1; functions of the test tell nothing."""
        if callable(self.argv):
            return 0.0
        wanted = self.argv or self.prefix
        if wanted is None:
            return 1.0
        compared = argv[: len(wanted)] if self.prefix else argv
        # Cut, because an argv can have a hundred thousand characters, and this is quadratic.
        one, other = (" ".join(words)[:ARGV_LIMIT] for words in (wanted, compared))
        return SequenceMatcher(None, one, other, autojunk=False).ratio()

    def __str__(self) -> str:
        parts = [] if self.argv is None else [shown(self.argv, ARGV_LIMIT)]
        if self.prefix:
            parts.append(f"prefix={shown(self.prefix, ARGV_LIMIT)}")
        if self.cwd is not None:
            parts.append(f"cwd={shown(self.cwd)}")
        if self.env is not None:
            parts.append(f"env={{{', '.join(f'{shown(name)}: ...' for name in self.env)}}}")
        if self.sandbox_id is not None:
            parts.append(f"sandbox_id={shown(self.sandbox_id)}")
        return ", ".join(parts)


def checked_match(
    match: ExecMatch | None,
    *,
    prefix: Sequence[str] | None,
    cwd: str | None,
    env: Mapping[str, str] | None,
    sandbox_id: str | None,
) -> Match:
    """Check what a test says about the commands of a script.

    Raises:
        TypeError: An argument has the wrong type, or all are missing.
        ValueError: An argv or a prefix is empty, both are given, or a `cwd` is relative.
    """
    if all(item is None for item in (match, prefix, cwd, env, sandbox_id)):
        raise TypeError(
            "on_exec() requires an argv, a function, prefix=, cwd=, env= or sandbox_id="
        )
    argv = match if match is None or callable(match) else _checked_argv("match", match)
    if prefix is not None:
        if isinstance(argv, tuple):
            raise ValueError("match and prefix cannot be combined: the argv is exact")
        prefix = _checked_argv("prefix", prefix)
    if cwd is not None:
        check_type("cwd", cwd, str, "a string")
        if not cwd.startswith("/"):
            raise ValueError(f"cwd must be absolute: {shown(cwd)}")
        cwd = posixpath.normpath(cwd)
    if env is not None:
        check_type("env", env, Mapping, "a mapping")
        for name, value in env.items():
            check_type("each name in env", name, str, "a string")
            check_type(f"env[{shown(name)}]", value, str, "a string")
        env = dict(env)
    if sandbox_id is not None:
        check_type("sandbox_id", sandbox_id, str, "a string")
    return Match(argv, prefix, cwd, env, sandbox_id)


def _checked_argv(name: str, argv: Sequence[str]) -> tuple[str, ...]:
    is_argv = isinstance(argv, Sequence) and not isinstance(argv, str)
    if not is_argv or not all(isinstance(word, str) for word in argv):
        wanted = "a function or an argv" if name == "match" else "an argv"
        raise TypeError(f"{name} must be {wanted} such as ['sh', '-c', ...], not {shown(argv)}")
    if not argv:
        raise ValueError(f"{name} must not be an empty argv: {shown(argv)}")
    return tuple(argv)
