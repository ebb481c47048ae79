"""Where it is printed: tables, colours and a spinner on terminals, else columns with tabs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import click

from .settings import Settings
from .shapes import age, json_line, named, printable, text
from .words import in_shell_words, said

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text
    from typing_extensions import Self

T = TypeVar("T")

_STYLES = {
    **dict.fromkeys(("READY", "RUNNING", "FINISHED", "OK"), "green"),
    **dict.fromkeys(("PENDING", "DELETING", "CANCELLED", "NOTE"), "yellow"),
    **dict.fromkeys(("FAILED", "PROBLEM"), "bold red"),
    **dict.fromkeys(("STOPPED", "DELETED"), "dim"),
}


def complain(message: str) -> None:
    """Print a message of this program to stderr, if anybody can see it."""
    with suppress(OSError):
        click.echo(f"agents-sandbox: {printable(message)}", err=True)


def report(settings: Settings, error: BaseException, warned: Iterable[Warning] = ()) -> None:
    """Print an error to stderr: in words, or as an object.

    Args:
        settings: Which of the two.
        error: The error, or an interruption, of which only the notes are words.
        warned: Warnings, for Python 3.10: since 3.11 they are notes of the error, too.
    """
    notes = [*dict.fromkeys((*getattr(error, "__notes__", ()), *map(str, warned)))]
    notes = [*map(in_shell_words, notes)]
    if settings.json:
        about = {name: getattr(error, name, None) for name in ("sandbox_id", "exec_id")}
        retryable = getattr(error, "retryable", False)
        what = {"error": type(error).__name__, "message": said(error), "notes": notes}
        with suppress(OSError):
            click.echo(json_line(what | about | {"retryable": retryable}), err=True)
        return
    for line in (*([said(error)] if isinstance(error, Exception) else []), *notes):
        complain(line)


def warn(settings: Settings, warned: Iterable[Warning]) -> None:
    """Print warnings to stderr, likewise."""
    for warning in warned:
        if settings.json:
            report(settings, warning)
        else:
            complain(f"warning: {said(warning)}")


@cache
def console(*, stderr: bool = False) -> Console:
    """Return the terminal, for text that has no markup of its own."""
    from rich.console import Console  # noqa: PLC0415 - on terminals only: it is slow to load

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def style_of(name: str) -> str:
    """Return the colour of a state or the like."""
    return _STYLES.get(name, "")


def _styled(value: object) -> Text:
    from rich.text import Text  # noqa: PLC0415 - likewise

    if isinstance(value, datetime):
        return Text(age(value))
    if isinstance(value, Mapping):
        return Text("\n".join(map(printable, named(value))))
    shown = text(value)
    return Text("" if shown == "-" else shown, style_of(shown) if isinstance(value, Enum) else "")


def print_items(
    settings: Settings, items: Iterable[T], columns: Mapping[str, Callable[[T], object]]
) -> None:
    """Print one row for each item, or one line of JSON.

    Args:
        settings: Which of the two.
        items: The items.
        columns: What each column has, by its heading.
    """
    if settings.json:
        for item in items:
            click.echo(json_line(item))
    else:
        print_rows(([column(item) for column in columns.values()] for item in items), columns)


def print_rows(rows: Iterable[Sequence[object]], headings: Iterable[str]) -> None:
    """Print a table for people, or columns with tabs between them and without headings."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(map(text, row)))
        return
    from rich.table import Table  # noqa: PLC0415 - likewise

    headings = [*headings]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for heading in headings:
        # Ids are for copying.
        table.add_column(heading, no_wrap=heading == "SANDBOX", overflow="fold")
    for row in rows:
        table.add_row(*map(_styled, row))
    console().print(table)


class Waiting(AbstractContextManager["Waiting"]):
    """Shows on terminals what is being waited for, and for how long.

    Args:
        settings: With JSON it shows nothing.
        what: What is being waited for.
    """

    def __init__(self, settings: Settings, what: str) -> None:
        self._settings = settings
        self._what = what
        self._seen = sys.stderr.isatty() and not settings.json
        self._shown: Progress | None = None

    def __enter__(self) -> Self:
        self.show(self._what)
        return self

    def show(self, what: str) -> None:
        """Show this from now on."""
        self.stop()
        if not self._seen:
            return
        from rich.progress import (  # noqa: PLC0415 - likewise
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._shown = Progress(
            SpinnerColumn("line"),  # ASCII, for every terminal
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._shown.add_task(what)
        self._settings.hid_cursor = not console(stderr=True).is_dumb_terminal
        self._shown.start()

    def stop(self) -> None:
        """Show nothing any more."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None

    def __exit__(self, *_: object) -> None:
        self.stop()


def show_cursor(settings: Settings) -> None:
    """Show the cursor again, which a spinner that was interrupted may have left hidden."""
    if settings.hid_cursor:
        with suppress(OSError):  # the terminal is gone
            sys.stderr.write("\x1b[?25h")
            sys.stderr.flush()
