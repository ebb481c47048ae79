"""The command `events`."""

from __future__ import annotations

import sys

import click

from .. import SandboxEvent
from .screen import console, style_of
from .settings import Settings, command
from .shapes import json_line, printable, text


@command
@click.argument("sandbox_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Wait for more, until the sandbox is purged.")
def events(settings: Settings, sandbox_id: str, follow: bool) -> None:
    """Print the events of a sandbox, from the first one on."""
    with settings.client() as client:
        handle = client.get_sandbox(sandbox_id, timeout_seconds=settings.timeout)
        with client.subscribe_sandbox_events(
            sandbox_id, timeout_seconds=settings.timeout
        ) as stream:
            for event in stream:
                _print(settings, event)
                if not follow and event.sequence >= handle.last_event_sequence:
                    break


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
