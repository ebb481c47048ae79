"""The commands for commands in sandboxes: `run` and `logs`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from .. import (
    ExecFailedError,
    ExecHandle,
    InvalidArgumentError,
    OperationTimeoutError,
    OutputChunk,
    OutputUnavailableError,
    SandboxClientError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SyncAgentsSandboxClient,
    SyncExecProcess,
)
from .codes import NO_EXIT_CODE
from .screen import Waiting, complain, report
from .settings import Settings, command, envs, labels, read_all
from .shapes import json_line
from .words import without_advice_to_delete

_LARGEST_INPUT = 8 * 2**20
"""The client accepts no more."""


class _Run(click.Command):
    """Takes a `--` after the first word of the command for one of its words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Click drops one `--`, so it gets one more."""
        if ctx.resilient_parsing:  # they are being completed
            return super().parse_args(ctx, args)
        if "--" in args:
            at = args.index("--")
            args = [*args[:at], "--", *args[at:]]
        rest = super().parse_args(ctx, args)
        words: list[Any] = [ctx.params["target"], *ctx.params["argv"]]
        if "--" in words[:2]:
            words.remove("--")
        if len(words) < 2:
            raise click.UsageError("Missing argument '-- COMMAND...'.", ctx)
        ctx.params["target"], ctx.params["argv"] = words[0], tuple(words[1:])
        return rest


@partial(command, kind=_Run)
@click.argument("target", metavar="IMAGE|ID")
@click.argument("argv", metavar="-- COMMAND...", nargs=-1, required=True)
@click.option("-i", "reads_input", is_flag=True, help="Give the command this standard input.")
@click.option("--cwd", default="", metavar="PATH", help="Its working folder in the sandbox.")
@envs
@labels
@click.option("--keep", is_flag=True, help="Leave the new sandbox, and print its id to stderr.")
def run(
    settings: Settings,
    target: str,
    argv: tuple[str, ...],
    reads_input: bool,
    cwd: str,
    envs: dict[str, str],
    labels: dict[str, str],
    keep: bool,
) -> int:
    """Run a command in a sandbox, and exit with its exit code.

    With the ID of a sandbox it runs there. With an IMAGE it runs in a new sandbox, which is deleted
    at the end. Ctrl-C and the time limit kill the command.
    """
    given = read_all("-i", sys.stdin.buffer, _LARGEST_INPUT) if reads_input else None
    with settings.client() as client:
        start = partial(
            client.start_exec,
            command=argv,
            cwd=cwd,
            env_overrides=envs,
            input=given,
            timeout_seconds=settings.timeout,
        )
        if _exists(settings, client, target):
            if labels or keep:
                raise click.UsageError("--label and --keep are for a new sandbox, of an IMAGE.")
            return _follow(settings, start(target))
        with (
            without_advice_to_delete(),
            Waiting(settings, "Creating the sandbox (Ctrl-C deletes it)") as waiting,
            client.sandbox(
                image=target, labels=labels, keep=keep, timeout_seconds=settings.timeout
            ) as sandbox,
        ):
            waiting.stop()
            if keep:
                complain(f"keeping sandbox {sandbox.id}")
            code = _follow(settings, start(sandbox.id))
            waiting.show("Deleting the sandbox")
        return code


def _exists(settings: Settings, client: SyncAgentsSandboxClient, target: str) -> bool:
    try:
        client.get_sandbox(target, timeout_seconds=settings.timeout)
    except (SandboxNotFoundError, InvalidArgumentError):
        return False
    except SandboxClientError as error:
        error.sandbox_id = None  # perhaps it is an image
        raise
    return True


def _follow(settings: Settings, process: SyncExecProcess) -> int:
    try:
        with process:
            _print_output(settings, process.output())
            ended = process.wait(max_output_bytes=0)
    except OperationTimeoutError as late:
        handle = process.handle
        if handle is None or not handle.state.is_terminal:
            raise
        raise OperationTimeoutError(
            f"the command was ended after its time limit of {late.timeout_seconds:g} s",
            timeout_seconds=late.timeout_seconds,
            last_handle=handle,
            sandbox_id=handle.sandbox_id,
            exec_id=handle.exec_id,
        ) from late
    if settings.json:
        click.echo(json_line(ended))
    if ended.exit_code is not None:
        return ended.exit_code
    why = f"the command has no exit code: {ended.error or ended.state.name}"
    report(settings, ExecFailedError(ended.exec_id, message=why, sandbox_id=ended.sandbox_id))
    return NO_EXIT_CODE


def _print_output(settings: Settings, output: Iterable[OutputChunk]) -> None:
    for chunk in output:
        if settings.json:
            click.echo(json_line({"stream": chunk.stream, "text": chunk.text}))
        else:
            stream = sys.stdout if chunk.stream == "stdout" else sys.stderr
            stream.buffer.write(chunk.data)
            stream.buffer.flush()


@command
@click.argument("exec_id", metavar="EXEC")
@click.option("-f", "--follow", is_flag=True, help="Wait for more, until the command ends.")
def logs(settings: Settings, exec_id: str, follow: bool) -> None:
    """Print the output of a command that was started before.

    The daemon reports where output is only to a client that runs a command in the sandbox, so this
    runs `true` there.
    """
    with settings.client() as client:
        _learn_paths(settings, client, exec_id)
        handle = client.get_exec(exec_id, timeout_seconds=settings.timeout)
        process = client.attach_exec(handle, timeout_seconds=settings.timeout)
        if follow or handle.state.is_terminal:
            _print_output(settings, process.output())
            handle = process.handle or handle
        else:
            _print_output(settings, _what_is_there(process, handle))
    if settings.json:
        click.echo(json_line(handle))


def _learn_paths(settings: Settings, client: SyncAgentsSandboxClient, exec_id: str) -> None:
    handle = client.get_exec(exec_id, timeout_seconds=settings.timeout)
    try:
        known = client.run(handle.sandbox_id, ("true",), timeout_seconds=settings.timeout)
    except SandboxNotReadyError as error:
        raise OutputUnavailableError(
            exec_id,
            message=f"sandbox {handle.sandbox_id} is not READY: the output of its commands can be "
            "found only while it is",
            problem="unknown_path",
            sandbox_id=handle.sandbox_id,
        ) from error
    known.stdout  # noqa: B018 - raises if logs cannot be read from here


def _what_is_there(process: SyncExecProcess, handle: ExecHandle) -> Iterator[OutputChunk]:
    ends = _sizes(handle)
    with process.output() as output:
        while any(output.offsets[stream] < end for stream, end in ends.items()):
            whole = all(size >= ends[stream] for stream, size in _sizes(handle).items())
            # One that shrinks now has nothing more before the command ends.
            chunk = next(output, None) if whole else None
            if chunk is None:
                raise _unavailable(
                    handle, "unreadable", "have shrunk: somebody else writes to them"
                )
            yield chunk


def _sizes(handle: ExecHandle) -> dict[str, int]:
    paths = {"stdout": handle.stdout_log_path, "stderr": handle.stderr_log_path}
    return {stream: _size(handle, path) for stream, path in paths.items()}


def _size(handle: ExecHandle, path: str | None) -> int:
    with suppress(FileNotFoundError):
        if path is not None:
            # Of a link, it is that of the link: reading then says what is wrong.
            return Path(path).lstat().st_size
    raise _unavailable(
        handle, "missing", "do not exist: its command has not started yet, or they were removed"
    )


def _unavailable(handle: ExecHandle, problem: str, what: str) -> OutputUnavailableError:
    return OutputUnavailableError(
        handle.exec_id,
        message=f"the log files of exec {handle.exec_id} {what}",
        problem=problem,
        sandbox_id=handle.sandbox_id,
    )
