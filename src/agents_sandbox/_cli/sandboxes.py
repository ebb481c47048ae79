"""The commands for sandboxes: `ls`, `show`, `create`, `stop`, `resume`, `rm`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import BinaryIO

import click

from .. import CompanionContainerSpec, SandboxHandle, ServiceSpec
from .screen import Waiting, print_items, print_rows
from .settings import Settings, command, envs, labels, read_all
from .shapes import json_line, named, printable, text
from .words import without_advice_to_delete

_LARGEST_CONFIG = 4 * 2**20
"""The daemon accepts no larger request."""

_COLUMNS: dict[str, Callable[[SandboxHandle], object]] = {
    "SANDBOX": lambda handle: handle.sandbox_id,
    "STATE": lambda handle: handle.state,
    "AGE": lambda handle: handle.created_at,
    "IMAGE": lambda handle: handle.image,
    "LABELS": lambda handle: handle.labels,
}


@command
@labels
@click.option("--all", "include_deleted", is_flag=True, help="Deleted sandboxes, too.")
def ls(settings: Settings, labels: dict[str, str], include_deleted: bool) -> None:
    """List sandboxes."""
    with settings.client() as client:
        found = client.list_sandboxes(
            include_deleted=include_deleted,
            label_selector=labels,
            timeout_seconds=settings.timeout,
        )
    print_items(settings, found, _COLUMNS)


@command
@click.argument("sandbox_id", metavar="ID")
def show(settings: Settings, sandbox_id: str) -> None:
    """Show a sandbox, and the commands that run in it.

    Of environment variables, only the names are shown.
    """
    with settings.client() as client:
        handle = client.get_sandbox(sandbox_id, timeout_seconds=settings.timeout)
        execs = client.list_active_execs(sandbox_id=sandbox_id, timeout_seconds=settings.timeout)
    if settings.json:
        click.echo(json_line(handle, execs=execs))
        return
    facts = [*_facts(handle)]
    facts += [("exec", f"{running.exec_id}: {shlex.join(running.command)}") for running in execs]
    print_rows(facts, ("", ""))


def _facts(handle: SandboxHandle) -> Iterator[tuple[str, object]]:
    for name in ("sandbox_id", "state", "image"):
        yield name, getattr(handle, name)
    for name in ("created_at", "state_changed_at"):
        yield name, text(getattr(handle, name))
    if handle.error_code:
        yield "error", f"{handle.error_code}: {handle.error_message or ''}"
    for label in named(handle.labels):
        yield "label", label
    for kind in ("required_service", "optional_service", "companion_container"):
        for spec in getattr(handle, f"{kind}s"):
            yield kind, _described(spec)


def _described(spec: ServiceSpec | CompanionContainerSpec) -> str:
    names = f" (env {', '.join(sorted(spec.envs))})" if spec.envs else ""
    return f"{spec.name} {spec.image}{names}"


@command
@click.argument("image")
@click.option(
    "--id", "sandbox_id", metavar="ID", help="Its id, never used before; by default a new one."
)
@labels
@envs
@click.option(
    "--config", type=click.File("rb"), metavar="FILE", help="YAML with everything else; - is stdin."
)
def create(
    settings: Settings,
    image: str,
    sandbox_id: str | None,
    labels: dict[str, str],
    envs: dict[str, str],
    config: BinaryIO | None,
) -> None:
    """Create a sandbox, wait until it is READY, and print its id.

    A sandbox that does not become READY is deleted, also after Ctrl-C.
    """
    config_yaml = read_all("--config", config, _LARGEST_CONFIG) if config else None
    with (
        settings.client() as client,
        without_advice_to_delete(),
        Waiting(settings, "Creating the sandbox (Ctrl-C deletes it)") as waiting,
        client.sandbox(
            image=image,
            sandbox_id=sandbox_id,
            config_yaml=config_yaml,
            labels=labels,
            envs=envs,
            keep=True,
            timeout_seconds=settings.timeout,
        ) as sandbox,
    ):
        waiting.stop()
        _print_id(settings, sandbox.id, sandbox.handle)


_ids = click.argument("sandbox_ids", metavar="ID...", nargs=-1, required=True)


@command
@_ids
def stop(settings: Settings, sandbox_ids: tuple[str, ...]) -> None:
    """Stop READY sandboxes in turn, and print their ids."""
    with settings.client() as client:
        _each(settings, "Stopping", sandbox_ids, client.stop_sandbox)


@command
@_ids
def resume(settings: Settings, sandbox_ids: tuple[str, ...]) -> None:
    """Resume STOPPED sandboxes in turn, and print their ids."""
    with settings.client() as client:
        _each(settings, "Resuming", sandbox_ids, client.resume_sandbox)


@command
@click.argument("sandbox_ids", metavar="[ID...]", nargs=-1)
@labels
def rm(settings: Settings, sandbox_ids: tuple[str, ...], labels: dict[str, str]) -> None:
    """Delete sandboxes: these, or all that have the labels. Print their ids."""
    if bool(sandbox_ids) == bool(labels):
        raise click.UsageError("Name either sandboxes or labels.")
    with settings.client() as client:
        if sandbox_ids:
            _each(settings, "Deleting", sandbox_ids, client.delete_sandbox)
            return
        with Waiting(settings, "Deleting"):
            deleted = client.delete_sandboxes(labels, timeout_seconds=settings.timeout)
        for sandbox_id in deleted.deleted_sandbox_ids:
            _print_id(settings, sandbox_id, {"sandbox_id": sandbox_id})


def _each(
    settings: Settings,
    doing: str,
    sandbox_ids: tuple[str, ...],
    do: Callable[..., SandboxHandle],
) -> None:
    for sandbox_id in sandbox_ids:
        with Waiting(settings, f"{doing} {printable(sandbox_id)}"):
            handle = do(sandbox_id, timeout_seconds=settings.timeout)
        _print_id(settings, handle.sandbox_id, handle)


def _print_id(settings: Settings, sandbox_id: str, facts: object) -> None:
    click.echo(json_line(facts) if settings.json else printable(sandbox_id))
