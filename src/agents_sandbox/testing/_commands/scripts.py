"""All scripts of a daemon, what its test's functions raised, and commands without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ..._shared.shown import shown
from .command import Command
from .matching import ExecMatch, checked_match
from .on_exec import ExecScript, Plan, Rule

_CLOSE = 0.6
"""How alike an argv must be to be close; that of `difflib.get_close_matches()`."""
_CLOSEST = 3
_TITLE_CHARACTERS = 60
_KEPT = 100
"""How many different unscripted commands to keep: nobody reads more of them."""


@dataclass
class Unscripted:
    """A command that no script matched."""

    command: str
    """The first exec with this command."""
    close: list[str]
    """The registrations that came close, and why they did not match."""
    count: int = 0
    """How many execs had this command."""

    def __str__(self) -> str:
        times = f", {self.count} times" if self.count > 1 else ""
        return "\n    close: ".join((f"{self.command}{times}", *self.close))


class Scripts:
    """All scripts of a daemon; use it in the daemon's thread only, but for `on_exec()`."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._errors: list[BaseException] = []
        self._unscripted: dict[tuple[tuple[str, ...], str], Unscripted] = {}

    def on_exec(
        self,
        match: ExecMatch | None,
        place: str,
        *,
        prefix: Sequence[str] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        sandbox_id: str | None = None,
    ) -> ExecScript:
        """Register a script; it takes precedence over those registered earlier.

        Args:
            match: As for `FakeDaemon.on_exec()`, like the others.
            place: Where the test registers it, as `file:line`.
            prefix: The first words.
            cwd: The working directory.
            env: The variables.
            sandbox_id: The sandbox.

        Raises:
            TypeError: An argument has the wrong type, or all are missing.
            ValueError: The arguments do not fit together.
        """
        checked = checked_match(match, prefix=prefix, cwd=cwd, env=env, sandbox_id=sandbox_id)
        rule = Rule(checked, place)
        self._rules.append(rule)
        return ExecScript(rule, rule.answers[0])

    def clear(self) -> None:
        """Drop all scripts, and forget unscripted commands."""
        self._rules.clear()
        self._unscripted.clear()

    def plan_for(self, command: Command) -> Plan | None:
        """Use the last registered script that matches; None: none matches."""
        for rule in reversed(self._rules):
            answer = rule.next_answer()
            if answer is not None and self._applies(rule, command):
                answer.used += 1
                return answer.plan
        return None

    def _applies(self, rule: Rule, command: Command) -> bool:
        try:
            return rule.match.applies(command)
        except BaseException as error:  # noqa: BLE001 - raised again by `raise_error()`
            self.keep_error(error)
            return False

    def note_unscripted(self, command: Command, close: Sequence[str] | None = None) -> Unscripted:
        """Keep a command that no script matches, for `assert_all_scripted()`.

        Args:
            command: The command.
            close: What came close, in lines; None: the scripts that did.
        """
        key = command.argv, command.cwd
        noted = self._unscripted.get(key)
        if noted is None:
            where = f", cwd {shown(command.cwd)}" if command.cwd else ""
            lines = self._close_to(command) if close is None else ["\n      ".join(close)]
            noted = Unscripted(f"{command}{where}", lines)
            if len(self._unscripted) < _KEPT:
                self._unscripted[key] = noted
        noted.count += 1
        return noted

    def _close_to(self, command: Command) -> list[str]:
        likeness = {rule: rule.match.likeness(command.argv) for rule in self._rules}
        close = sorted(
            (rule for rule in self._rules if likeness[rule] >= _CLOSE),
            key=lambda rule: (len(rule.match.differences(command)), -likeness[rule]),
        )
        return [rule.why_not(command) for rule in islice(close, _CLOSEST)]

    def assert_all_scripted(self) -> None:
        """Check that a script matched each command.

        Raises:
            AssertionError: None matched some of them.
        """
        if self._unscripted:
            (argv, _), *others = self._unscripted
            # Summaries of test runs show the first line alone.
            more = f" and {len(others)} more" if others else ""
            title = f"unscripted commands: {shown(argv, _TITLE_CHARACTERS)}{more}"
            lines = map(str, self._unscripted.values())
            raise AssertionError("\n  ".join([title, *lines]))

    def unused(self) -> list[str]:
        """One line for each answer that was used less often than planned."""
        return [line for rule in self._rules for line in rule.unused()]

    def keep_error(self, error: BaseException) -> None:
        """Keep an error of the test, for `raise_error()`."""
        self._errors.append(error)

    def raise_error(self) -> None:
        """Raise the first error that was kept, if any, and forget them all."""
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]
