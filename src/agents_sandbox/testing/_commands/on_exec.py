"""Scripts of a test for commands: `on_exec(...)` and the script that it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..._shown import shown
from .._checks import check_count, check_seconds, check_type
from .command import ARGV_LIMIT
from .handlers import ExecHandler, as_bytes, checked_exit_code

ExecMatch = Sequence[str] | Callable[[Sequence[str]], bool]
"""An exact argv, or a function that takes the argv and returns whether it matches."""


@dataclass(frozen=True)
class Write:
    """A step: write to one of the outputs."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True)
class Wait:
    """A step: wait."""

    seconds: float


@dataclass(frozen=True)
class StartFailure:
    """An end: the process cannot be started."""

    message: str


End: TypeAlias = "int | StartFailure | ExecHandler | None"
"""An exit code, a failure to start, a handler that returns an exit code, or None: no end."""


@dataclass(frozen=True)
class Plan:
    """What a scripted command does: its steps in order, then its end.

    Raises:
        ValueError: It writes something although it cannot be started.
    """

    steps: tuple[Write | Wait, ...] = ()
    end: End = 0

    def __post_init__(self) -> None:
        """Check that the end is compatible with the steps."""
        writes = any(isinstance(step, Write) for step in self.steps)
        if writes and isinstance(self.end, StartFailure):
            raise ValueError(
                "fail() cannot be combined with stdout() or stderr(): the process never starts. "
                "To fail after writing, use exit(1)"
            )

    @property
    def seconds(self) -> float:
        """How long the steps take, in seconds."""
        return sum(step.seconds for step in self.steps if isinstance(step, Wait))


@dataclass
class Rule:
    """A plan, and the commands that it is for."""

    match: ExecMatch
    place: str
    """Where the test made it, as `file:line`."""
    plan: Plan = Plan()
    times: int | None = None
    """How many commands it applies to; None: all."""
    used: int = 0

    def applies(self, argv: Sequence[str]) -> bool:
        """Return whether it applies to a command."""
        if self.used == self.times:
            return False
        return self.match(argv) if callable(self.match) else tuple(self.match) == tuple(argv)

    def __str__(self) -> str:
        wanted = "never used" if self.times is None else f"used {self.used} of {self.times} times"
        return f"on_exec({shown(self.match, ARGV_LIMIT)}) at {self.place}: {wanted}"


class ExecScript:
    """What matching execs do. Each method returns the script itself.

    The steps `stdout`, `stderr` and `after` happen in the order of the calls. Then the exec
    ends: the last of `exit`, `fail`, `never` and `call` decides how, and can be called before
    the steps. An empty script prints nothing and exits with 0 immediately.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def stdout(self, data: str | bytes) -> ExecScript:
        """Write to stdout.

        Args:
            data: What to write; text is encoded as UTF-8.
        """
        return self._then(Write("stdout", as_bytes(data)))

    def stderr(self, data: str | bytes) -> ExecScript:
        """Write to stderr.

        Args:
            data: What to write; text is encoded as UTF-8.
        """
        return self._then(Write("stderr", as_bytes(data)))

    def after(self, seconds: float) -> ExecScript:
        """Wait before the next step or the end.

        Args:
            seconds: How long to wait, on the daemon's clock.

        Raises:
            TypeError: The time is not a number.
            ValueError: It is negative, infinite or NaN.
        """
        check_seconds("seconds", seconds)
        return self._then(Wait(seconds))

    def exit(self, code: int) -> ExecScript:
        """Exit with `code` after the steps; any code but 0 makes the exec fail.

        Raises:
            TypeError: The code is not an integer.
            ValueError: It is not in 0..255.
        """
        return self._end_with(checked_exit_code(code))

    def fail(self, message: str) -> ExecScript:
        """Fail before the process starts.

        The exec is FAILED with exit code 0 and has no log files, like one whose working
        directory is missing.

        Args:
            message: The error of the exec, such as Docker's text.

        Raises:
            TypeError: The message is not a string.
            ValueError: It is empty, or the script writes something.
        """
        check_type("message", message, str, "a string")
        if not message:
            raise ValueError(f"message must not be empty: {shown(message)}")
        return self._end_with(StartFailure(message))

    def never(self) -> ExecScript:
        """Keep running after the steps, until the sandbox is stopped or deleted."""
        return self._end_with(None)

    def call(self, handler: ExecHandler) -> ExecScript:
        """Run a function after the steps, in place of the process.

        It takes an `ExecContext` and returns the exit code, or None for 0. A coroutine function
        runs on the daemon's event loop, which it must not block. Any other function runs in its
        own thread, which nothing can end. If it raises, the exec fails, and `FakeDaemon.stop()`
        raises the error again.

        Args:
            handler: The function.

        Raises:
            TypeError: It is not callable.
        """
        if not callable(handler):
            raise TypeError(f"handler must be callable: {shown(handler)}")
        return self._end_with(handler)

    def times(self, count: int) -> ExecScript:
        """Apply to `count` execs only; after that, scripts registered earlier apply.

        Raises:
            TypeError: The count is not an integer.
            ValueError: It is less than 1.
        """
        check_count("times", count)
        self._rule.times = count
        return self

    # Plans are replaced, not changed: a command keeps the plan that it was accepted with.

    def _then(self, step: Write | Wait) -> ExecScript:
        plan = self._rule.plan
        self._rule.plan = Plan((*plan.steps, step), plan.end)
        return self

    def _end_with(self, end: End) -> ExecScript:
        self._rule.plan = Plan(self._rule.plan.steps, end)
        return self


class Scripts:
    """All scripts of a daemon, and the errors that its test's functions raised."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._errors: list[BaseException] = []

    def on_exec(self, match: ExecMatch, place: str) -> ExecScript:
        """Register a script; it takes precedence over those registered earlier.

        Args:
            match: The commands that it applies to.
            place: Where the test registers it, as `file:line`.

        Raises:
            TypeError: `match` is neither a function nor an argv; a plain string is not an argv.
            ValueError: The argv is empty.
        """
        rule = Rule(match if callable(match) else _checked_argv(match), place)
        self._rules.append(rule)
        return ExecScript(rule)

    def plan_for(self, argv: Sequence[str]) -> Plan | None:
        """Use the last registered script that matches; None: none matches."""
        rule = next((rule for rule in reversed(self._rules) if self._applies(rule, argv)), None)
        if rule is None:
            return None
        rule.used += 1
        return rule.plan

    def _applies(self, rule: Rule, argv: Sequence[str]) -> bool:
        try:
            return rule.applies(argv)
        except BaseException as error:  # noqa: BLE001 - raised again by `raise_error()`
            self.keep_error(error)
            return False

    def unused(self) -> list[str]:
        """One line for each script that was used less often than planned."""
        return [str(rule) for rule in self._rules if rule.used < (rule.times or 1)]

    def keep_error(self, error: BaseException) -> None:
        """Keep an error of a function of the test, for `raise_error()`."""
        self._errors.append(error)

    def raise_error(self) -> None:
        """Raise the first error that was kept, if any, and forget them all."""
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]


def _checked_argv(match: Sequence[str]) -> tuple[str, ...]:
    is_argv = isinstance(match, Sequence) and not isinstance(match, str)
    if not is_argv or not all(isinstance(word, str) for word in match):
        raise TypeError(
            f"match must be a function or an argv such as ['sh', '-c', ...], not {shown(match)}"
        )
    if not match:
        raise ValueError(f"match must not be an empty argv: {shown(match)}")
    return tuple(match)
