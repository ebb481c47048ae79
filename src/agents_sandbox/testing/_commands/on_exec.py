"""What a test says about commands: `on_exec(...)` and the script it fills in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .._checks import check_count, check_seconds, check_type
from .handlers import ExecHandler, as_bytes, checked_exit_code

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
class NoStart:
    """An end: it turns out that the process cannot be started."""

    message: str


End: TypeAlias = "int | NoStart | ExecHandler | None"
"""An exit code, no start, a handler that gives an exit code, or None for no end at all."""


@dataclass(frozen=True)
class Plan:
    """What a scripted command does: its steps in order, and then its end.

    Raises:
        ValueError: It cannot be started, and writes all the same.
    """

    steps: tuple[Write | Wait, ...] = ()
    end: End = 0

    def __post_init__(self) -> None:
        """Check that the end goes with the steps."""
        writes = any(isinstance(step, Write) for step in self.steps)
        if writes and isinstance(self.end, NoStart):
            raise ValueError("fail() goes with neither stdout() nor stderr(): nothing is started")

    @property
    def seconds(self) -> float:
        """How long the steps take."""
        return sum(step.seconds for step in self.steps if isinstance(step, Wait))


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
    of `exit`, `fail`, `never` and `call` counts. Without further words an exec writes nothing and
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
            TypeError: The time is no number.
            ValueError: It is negative, infinite or NaN.
        """
        check_seconds("seconds", seconds)
        return self._then(Wait(seconds))

    def exit(self, code: int) -> ExecScript:
        """Exit with `code` in the end; all but 0 make the exec fail.

        Raises:
            TypeError: The code is no integer.
            ValueError: It is not in 0..255.
        """
        return self._end_with(checked_exit_code(code))

    def fail(self, message: str) -> ExecScript:
        """Fail in the end without ever having started.

        So does an exec whose working directory is missing: it is FAILED with exit code 0 and
        has no log files.

        Args:
            message: The error of the exec, such as Docker's text.

        Raises:
            TypeError: The message is no string.
            ValueError: It is empty, or the script writes something.
        """
        check_type("message", message, str, "a string")
        if not message:
            raise ValueError(f"message must not be empty: {message!r}")
        return self._end_with(NoStart(message))

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
            TypeError: The count is no integer.
            ValueError: It is less than 1.
        """
        check_count("times", count)
        self._rule.times = count
        return self

    # Always a new plan: a command that has started keeps its own.

    def _then(self, step: Write | Wait) -> ExecScript:
        plan = self._rule.plan
        self._rule.plan = Plan((*plan.steps, step), plan.end)
        return self

    def _end_with(self, end: End) -> ExecScript:
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
            TypeError: `match` is neither a function nor an argv; a plain string is none.
            ValueError: The argv is empty.
        """
        rule = Rule(match if callable(match) else _checked_argv(match), place)
        self._rules.append(rule)
        return ExecScript(rule)

    def plan_for(self, argv: Sequence[str]) -> Plan | None:
        """Use the script that was registered last among those that match, if one does."""
        rule = next((rule for rule in reversed(self._rules) if self._applies(rule, argv)), None)
        if rule is None:
            return None
        rule.used += 1
        return rule.plan

    def _applies(self, rule: Rule, argv: Sequence[str]) -> bool:
        try:
            return rule.applies(argv)
        except BaseException as error:  # noqa: BLE001 - raised by the end of the daemon
            self.function_failed(error)
            return False

    def unused(self) -> list[str]:
        """One line for each script that was used less often than it was meant to be."""
        return [str(rule) for rule in self._rules if rule.used < (rule.times or 1)]

    def function_failed(self, error: BaseException) -> None:
        """Keep what a function of the test raised, for `raise_error()`."""
        self._errors.append(error)

    def raise_error(self) -> None:
        """Raise what a function of the test raised, the first of all; do so only once."""
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]


def _checked_argv(match: Sequence[str]) -> tuple[str, ...]:
    is_argv = isinstance(match, Sequence) and not isinstance(match, str)
    if not is_argv or not all(isinstance(word, str) for word in match):
        raise TypeError(
            f"match must be a function or an argv such as ['sh', '-c', ...], not {match!r}"
        )
    if not match:
        raise ValueError(f"match must not be an empty argv: {match!r}")
    return tuple(match)
