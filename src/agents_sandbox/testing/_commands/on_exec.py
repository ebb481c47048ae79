"""Scripts of a test for commands: `on_exec(...)` and the script that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..._shared.shown import shown
from .._checks import check_count, check_seconds, check_type
from .._expectations import place_of_caller
from .command import Command
from .handlers import ExecHandler, as_bytes, checked_exit_code
from .matching import Match


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
class Answer:
    """One plan of a rule, and how often it is used."""

    place: str
    """Where the test made it, as `file:line`."""
    plan: Plan = Plan()
    times: int | None = None
    """How many commands it is for; None: all, or one if another answer follows."""
    used: int = 0


class Rule:
    """The plans for the commands that match, in order."""

    def __init__(self, match: Match, place: str) -> None:
        self.match = match
        self.answers: list[Answer] = [Answer(place)]

    def next_answer(self) -> Answer | None:
        """Return the answer for the next command that matches; None: all are used up."""
        return next((item for item in self.answers if self._has_more(item)), None)

    def _has_more(self, answer: Answer) -> bool:
        times = self._times(answer)
        return times is None or answer.used < times

    def _times(self, answer: Answer) -> int | None:
        return 1 if answer.times is None and answer is not self.answers[-1] else answer.times

    def unused(self) -> list[str]:
        """One line for each answer that was used less often than planned."""
        planned = [(item, self._times(item)) for item in self.answers]
        return [
            f"{self._name(item)}: "
            + ("never used" if times is None else f"used {item.used} of {times} times")
            for item, times in planned
            if item.used < (times or 1)
        ]

    def _name(self, answer: Answer) -> str:
        number = self.answers.index(answer) + 1
        which = f", answer {number} of {len(self.answers)}," if len(self.answers) > 1 else ""
        return f"on_exec({self.match}){which} at {answer.place}"

    def why_not(self, command: Command) -> str:
        """Say in one line why it is not for a command."""
        reasons = self.match.differences(command)
        if self.next_answer() is None:
            used = sum(item.used for item in self.answers)
            reasons.append(f"used up, {used} of {used} times")
        return f"on_exec({self.match}) at {self.answers[0].place}: {', '.join(reasons)}"


class ExecScript:
    """What matching execs do. Each method but `then` returns the script itself.

    The steps `stdout`, `stderr` and `after` happen in the order of the calls. Then the exec
    ends: the last of `exit`, `fail`, `never` and `call` decides how, and can be called before
    the steps. An empty script prints nothing and exits with 0 immediately.
    """

    def __init__(self, rule: Rule, answer: Answer) -> None:
        self._rule = rule
        self._answer = answer

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
        """Apply to `count` execs only; after that, what follows `then()`.

        If nothing follows, scripts registered earlier apply.

        Raises:
            TypeError: The count is not an integer.
            ValueError: It is less than 1.
        """
        check_count("times", count)
        self._answer.times = count
        return self

    def then(self) -> ExecScript:
        """Describe what later matching execs do; this script is for one, or as many as `times()`.

        The last script of such a sequence applies to all later execs, or as many as `times()`.

        Returns:
            Another script, empty at first.
        """
        answer = Answer(place_of_caller())
        self._rule.answers.append(answer)
        return ExecScript(self._rule, answer)

    # Plans are replaced, not changed: a command keeps the plan that it was accepted with.

    def _then(self, step: Write | Wait) -> ExecScript:
        plan = self._answer.plan
        self._answer.plan = Plan((*plan.steps, step), plan.end)
        return self

    def _end_with(self, end: End) -> ExecScript:
        self._answer.plan = Plan(self._answer.plan.steps, end)
        return self
