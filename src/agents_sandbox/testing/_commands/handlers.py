"""Functions of a test that replace the process of an exec."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

from ..._shared.shown import shown
from .._checks import check_type
from .._protocol.spec import WORKSPACE
from .._time.clock import Sleep
from .command import ARGV_LIMIT, Command, CommandError
from .logs import append_to_log, open_log
from .threads import in_thread


class HandlerError(CommandError):
    """A handler raised, or returned no valid exit code; the cause is that error."""


class Output:
    """Both outputs of a command that does not run on the host."""

    def __init__(self, command: Command) -> None:
        self._paths = {"stdout": command.stdout_path, "stderr": command.stderr_path}
        self._closed = False
        for path in self._paths.values():
            open_log(path).close()

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Write immediately.

        Raises:
            BrokenPipeError: The command has ended.
        """
        self._check_open(stream)
        try:
            # Opened for each write: with thousands of commands, open files would run out.
            append_to_log(self._paths[stream], data)
        except FileNotFoundError:
            self._check_open(stream)  # a delete removes the log of a command that it has ended
            raise

    def _check_open(self, stream: str) -> None:
        if self._closed:
            raise BrokenPipeError(f"cannot write to {stream}: the command is no longer running")

    def close(self) -> None:
        """Refuse further writes: the command has ended."""
        self._closed = True


class ExecContext:
    """What a handler knows about its exec and can do. The fake daemon makes it.

    Attributes:
        sandbox_id: The sandbox of the exec.
        exec_id: The id of the exec; empty for a hook.
        argv: The command.
        cwd: The working directory, absolute.
        env: The environment of the sandbox, overridden key by key by the exec's.
        stdin: What the client passed as `input`; empty without it.
    """

    def __init__(self, command: Command, output: Output, sleep: Sleep, stdin: bytes = b"") -> None:
        self.sandbox_id: str = command.sandbox_id
        self.exec_id: str = command.exec_id
        self.argv: tuple[str, ...] = command.argv
        self.cwd: str = command.cwd or WORKSPACE
        self.env: Mapping[str, str] = command.full_env
        self.stdin: bytes = stdin
        self._output = output
        self._sleep = sleep

    def write_stdout(self, data: str | bytes) -> None:
        """Write to stdout; readers of the log see it immediately.

        Args:
            data: What to write; text is encoded as UTF-8.

        Raises:
            BrokenPipeError: The exec has ended, for example because its sandbox was stopped.
            TypeError: The data is neither text nor bytes.
        """
        self._output.write("stdout", as_bytes(data))

    def write_stderr(self, data: str | bytes) -> None:
        """Write to stderr; readers of the log see it immediately.

        Args:
            data: What to write; text is encoded as UTF-8.

        Raises:
            BrokenPipeError: The exec has ended, for example because its sandbox was stopped.
            TypeError: The data is neither text nor bytes.
        """
        self._output.write("stderr", as_bytes(data))

    async def sleep(self, seconds: float) -> None:
        """Wait on the daemon's clock; for coroutine functions.

        Args:
            seconds: How long to wait.
        """
        await self._sleep(seconds)


ExecHandler: TypeAlias = Callable[[ExecContext], "int | Awaitable[int | None] | None"]
"""Replaces a process: takes an `ExecContext` and returns the exit code, or None for 0."""


async def run_handler(handler: ExecHandler, context: ExecContext) -> int:
    """Run a handler in place of a process and return the exit code.

    Raises:
        HandlerError: It raised, or returned no valid exit code.
    """
    try:
        return _exit_code(await _result(handler, context))
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # pytest.fail() raises no Exception
        what = f"{type(error).__name__}: {error}"
        raise HandlerError(
            f"the handler of {shown(context.argv, ARGV_LIMIT)} raised {what}"
        ) from error


async def _result(handler: ExecHandler, context: ExecContext) -> object:
    if inspect.iscoroutinefunction(handler):
        return await handler(context)

    def attempt() -> tuple[object, BaseException | None]:
        try:
            return handler(context), None
        except BaseException as error:  # noqa: BLE001 - raised again below
            return None, error

    result, error = await in_thread(attempt, f"fake-agboxd-handler-{context.exec_id}")
    if error is not None:
        raise error
    return await result if inspect.isawaitable(result) else result


def _exit_code(result: object) -> int:
    if result is None:
        return 0
    if isinstance(result, bool) or not isinstance(result, int):
        raise TypeError(f"a handler must return an exit code or None, not {shown(result)}")
    return checked_exit_code(result)


def checked_exit_code(code: int) -> int:
    """Check an exit code and return it.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is not in 0..255.
    """
    check_type("exit code", code, int, "an integer")
    if code not in range(256):
        raise ValueError(f"exit code must be in 0..255, not {shown(code)}")
    return code


def as_bytes(data: str | bytes) -> bytes:
    """Encode what is to be written; text as UTF-8.

    Raises:
        TypeError: The data is neither text nor bytes.
    """
    if isinstance(data, str):
        return data.encode()
    check_type("data", data, bytes, "str or bytes")
    return data
