"""What a test says about commands: `on_exec(...)` and the script it fills in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ._handlers import ExecHandler, as_bytes, checked_exit_code

ExecMatch = Sequence[str] | Callable[[Sequence[str]], bool]
"""An exact argv, or a function that is given the argv and says yes or no."""


@dataclass(frozen=True)
class Write:
    """A step: write to one of the outputs."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True)
class Wait:
    """A step: let time pass."""

    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a scripted command does: its steps in order, and then its end."""

    steps: tuple[Write | Wait, ...] = ()
    end: int | ExecHandler | None = 0
    """An exit code, a handler that gives one, or None for no end at all."""


@dataclass
class Rule:
    """Which commands follow which plan."""

    match: ExecMatch
    place: str
    """Where the test has made it, as `file:line`."""
    plan: Plan = Plan()
    times: int | None = None
    """For how many commands it counts; None for all."""
    used: int = 0

    def applies(self, argv: Sequence[str]) -> bool:
        """Whether it counts for a command."""
        if self.used == self.times:
            return False
        return self.match(argv) if callable(self.match) else tuple(self.match) == tuple(argv)

    def __str__(self) -> str:
        wanted = "never used" if self.times is None else f"used {self.used} of {self.times} times"
        return f"on_exec({self.match!r}) at {self.place}: {wanted}"


class ExecScript:
    """Says what the execs it was registered for do. Each method returns the script itself.

    A script is a sequence of steps: `stdout`, `stderr` and `after` happen in the order in
    which they are said. Then comes its end, wherever in the script that was said: the last
    of `exit`, `never` and `call` counts. Without further words an exec writes nothing and
    exits with 0 at once.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def stdout(self, data: str | bytes) -> ExecScript:
        """Write to stdout.

        Args:
            data: What to write; text is UTF-8.
        """
        return self._then(Write("stdout", as_bytes(data)))

    def stderr(self, data: str | bytes) -> ExecScript:
        """Write to stderr.

        Args:
            data: What to write; text is UTF-8.
        """
        return self._then(Write("stderr", as_bytes(data)))

    def after(self, seconds: float) -> ExecScript:
        """Wait before what follows, be it only the end.

        Args:
            seconds: How long, by the daemon's clock.

        Raises:
            ValueError: The time is negative.
        """
        if not seconds >= 0:  # so put for NaN
            raise ValueError(f"seconds must not be negative: {seconds!r}")
        return self._then(Wait(seconds))

    def exit(self, code: int) -> ExecScript:
        """Exit with `code` in the end; all but 0 make the exec fail.

        Raises:
            ValueError: The code is not in 0..255.
        """
        return self._end_with(checked_exit_code(code))

    def never(self) -> ExecScript:
        """Run on in the end, until the sandbox is stopped or deleted."""
        return self._end_with(None)

    def call(self, handler: ExecHandler) -> ExecScript:
        """Let a function be the process in the end.

        It is given an `ExecContext` and returns the exit code; None is 0. A coroutine
        function runs on the daemon's event loop, which it must not block; any other runs
        in a thread of its own, which nothing can end. If it raises, the exec fails, and
        `FakeDaemon.stop()` raises that again.

        Args:
            handler: The function.

        Raises:
            TypeError: It cannot be called.
        """
        if not callable(handler):
            raise TypeError(f"handler must be callable: {handler!r}")
        return self._end_with(handler)

    def times(self, count: int) -> ExecScript:
        """Count for `count` execs only; later ones find the scripts registered before.

        Raises:
            ValueError: The count is less than 1.
        """
        if count < 1:
            raise ValueError(f"times must be at least 1: {count!r}")
        self._rule.times = count
        return self

    # Always a new plan: a command that has started keeps its own.

    def _then(self, step: Write | Wait) -> ExecScript:
        plan = self._rule.plan
        self._rule.plan = Plan((*plan.steps, step), plan.end)
        return self

    def _end_with(self, end: int | ExecHandler | None) -> ExecScript:
        self._rule.plan = Plan(self._rule.plan.steps, end)
        return self


class Scripts:
    """All scripts of a daemon, and what came of them."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._errors: list[BaseException] = []

    def on_exec(self, match: ExecMatch, place: str) -> ExecScript:
        """Register a new script; it goes before those registered earlier.

        Args:
            match: For which commands.
            place: Where the test says so, as `file:line`.

        Raises:
            TypeError: `match` is a plain string, which is no argv.
        """
        if isinstance(match, str):
            raise TypeError(
                f"match must be an argv such as ['sh', '-c', ...], not a string: {match!r}"
            )
        rule = Rule(match if callable(match) else tuple(match), place)
        self._rules.append(rule)
        return ExecScript(rule)

    def plan_for(self, argv: Sequence[str]) -> Plan | None:
        """Use the script that was registered last among those that match, if one does."""
        rule = next((rule for rule in reversed(self._rules) if rule.applies(argv)), None)
        if rule is None:
            return None
        rule.used += 1
        return rule.plan

    def unused(self) -> list[str]:
        """One line for each script that was used less often than it was meant to be."""
        return [str(rule) for rule in self._rules if rule.used < (rule.times or 1)]

    def handler_failed(self, error: BaseException) -> None:
        """Keep what a handler raised, for `raise_error()`."""
        self._errors.append(error)

    def raise_error(self) -> None:
        """Raise what a handler raised, the first of them all; do so only once."""
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]
