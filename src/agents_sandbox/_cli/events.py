"""The commands `events` and `timeline`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from .. import OperationTimeoutError, SandboxEvent, SyncAgentsSandboxClient
from .. import timeline as draw
from .screen import console, style_of
from .settings import Settings, command
from .shapes import json_line, printable, text

_REPLAY_SECONDS = 30.0
"""How long the daemon may take to send the events that exist."""


@command
@click.argument("sandbox_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Wait for more, until the sandbox is purged.")
def events(settings: Settings, sandbox_id: str, follow: bool) -> None:
    """Print the events of a sandbox, from the first one on."""
    with settings.client() as client:
        for event in _read(settings, client, sandbox_id, follow=follow):
            _print(settings, event)


@command
@click.argument("sandbox_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a picture to this file, as SVG.",
)
def timeline(settings: Settings, sandbox_id: str, output: str | None) -> None:
    """Print the life of a sandbox in words, or draw it."""
    with settings.client() as client:
        life = draw(_read(settings, client, sandbox_id, follow=False))
    if output is not None:
        life.save(output)
    if settings.json:
        words = str(life).splitlines()
        click.echo(json_line({"sandbox_id": sandbox_id, "words": words, "file": output}))
    elif output is None:
        for line in str(life).splitlines():
            click.echo(printable(line))


def _read(
    settings: Settings, client: SyncAgentsSandboxClient, sandbox_id: str, *, follow: bool
) -> Iterator[SandboxEvent]:
    """Yield the events so far, or also those to come."""
    handle = client.get_sandbox(sandbox_id, timeout_seconds=settings.timeout)
    last, newest = 0, handle.last_event_sequence
    limit = settings.timeout if follow or settings.timeout is not None else _REPLAY_SECONDS
    try:
        with client.subscribe_sandbox_events(sandbox_id, timeout_seconds=limit) as stream:
            for event in stream:
                yield event
                last = event.sequence
                if not follow and last >= newest:
                    break
    except OperationTimeoutError as late:
        if follow:
            raise
        raise OperationTimeoutError(
            f"the daemon sent the events of sandbox {sandbox_id} up to {last} of {newest} within "
            f"{late.timeout_seconds:g} s. Increase --timeout",
            timeout_seconds=late.timeout_seconds,
            sandbox_id=sandbox_id,
        ) from late


def _print(settings: Settings, event: SandboxEvent) -> None:
    name, when = event.event_type.name, event.occurred_at
    if settings.json:
        click.echo(json_line(event))
    elif sys.stdout.isatty():
        clock = when.astimezone().strftime("%H:%M:%S") if when else ""
        line = f"{event.sequence:>4}  {clock:8}  {name:24}  {printable(_details(event))}"
        console().print(line.rstrip(), style=style_of(name.rpartition("_")[2]), soft_wrap=True)
    else:
        click.echo("\t".join(map(text, (event.sequence, when, event.event_type, _details(event)))))


def _details(event: SandboxEvent) -> str:
    """Return what an event is about, in words."""
    found: list[object] = []
    about = event.exec or event.service or event.sandbox_phase
    if event.exec:
        found = [event.exec.exec_id]
        if event.exec.exit_code is not None:
            return f"{event.exec.exec_id} exit code {event.exec.exit_code}"
    elif event.service:
        found = [event.service.service_name]
    elif event.sandbox_phase:
        found = [event.sandbox_phase.phase, event.sandbox_phase.reason]
    if about:
        found += [about.error_code, about.error_message]
    return " ".join(str(one) for one in found if one)
