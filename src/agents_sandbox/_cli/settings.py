"""The options that every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, ParamSpec, TypeVar

import click

from .. import SyncAgentsSandboxClient

if TYPE_CHECKING:
    from .. import DurationLike

P = ParamSpec("P")
R = TypeVar("R")

_PIECE_BYTES = 2**16


@dataclass
class Settings:
    """What the shared options say, and what the program has to put right at its end.

    Attributes:
        socket: The path of the daemon's socket; None: the SDK's default.
        timeout: The time limit of each step; None: the SDK's defaults.
        json: Whether to print JSON.
        hid_cursor: Whether a spinner has hidden the cursor, and may not have shown it again.
    """

    socket: str | None = None
    timeout: DurationLike | None = None
    json: bool = False
    hid_cursor: bool = False

    def client(self) -> SyncAgentsSandboxClient:
        """Make the client."""
        return SyncAgentsSandboxClient(self.socket)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    if value is not None and value is not False:  # otherwise it may stand before the command
        setattr(settings, str(option.name), value)


def _duration(written: str) -> DurationLike:
    """Read a number of seconds; the client reads text with units, and refuses what is neither."""
    for read in (int, float):
        with suppress(ValueError):
            return read(written)
    return written


SHARED: tuple[click.Parameter, ...] = (
    click.Option(
        ["--socket"],
        metavar="PATH",
        expose_value=False,
        callback=_remember,
        help="The daemon's socket: a path or unix:///path.",
    ),
    click.Option(
        ["--timeout"],
        metavar="TIME",
        expose_value=False,
        type=_duration,
        callback=_remember,
        help="Time limit of each step, such as 90 or 1m30s.",
    ),
    click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="Print JSON, one object a line.",
    ),
)


def read_all(option: str, given: BinaryIO, limit: int) -> bytes:
    """Read what an option gives, up to its end; refuse more bytes than the limit."""
    if given.isatty():
        raise click.UsageError(f"{option} needs a file or a pipe, not a terminal.")
    data = bytearray()
    # In pieces, so that a signal ends it between two.
    while len(data) <= limit and (piece := given.read(_PIECE_BYTES)):
        data += piece
    if len(data) > limit:
        raise click.UsageError(f"{option} takes up to {limit >> 20} MiB.")
    return bytes(data)


def command(
    function: Callable[Concatenate[Settings, P], R], kind: type[click.Command] = click.Command
) -> click.Command:
    """Make a command of a function that takes the settings first."""
    made = click.command(cls=kind)(click.pass_obj(function))
    made.params.extend(SHARED)
    return made


def pairs(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Read the values of an option that is NAME=VALUE, and can be repeated."""
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter("expected NAME=VALUE")  # the text may be a secret
        if name in found:
            raise click.BadParameter(f"{name} has two values")
        found[name] = value
    return found


labels = click.option(
    "--label",
    "labels",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="A label; can be repeated.",
)
envs = click.option(
    "--env",
    "envs",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="An environment variable; can be repeated.",
)
