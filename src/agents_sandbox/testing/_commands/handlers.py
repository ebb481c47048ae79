"""Functions of a test that stand for the process of an exec."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

from .._checks import check_type
from .._protocol.spec import WORKSPACE
from .._time.clock import Sleep
from .command import Command, CommandError
from .logs import append_to_log, open_log
from .threads import in_thread


class HandlerError(CommandError):
    """A handler raised, or returned what is no exit code; that is the cause."""


class Output:
    """Both outputs of a command that no process of the host writes."""

    def __init__(self, command: Command) -> None:
        self._paths = {"stdout": command.stdout_path, "stderr": command.stderr_path}
        self._closed = False
        for path in self._paths.values():
            open_log(path).close()

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Write at once.

        Raises:
            BrokenPipeError: The command came to an end.
        """
        if self._closed:
            raise BrokenPipeError("the command is no longer running")
        # Opened anew each time: thousands of commands can be running.
        append_to_log(self._paths[stream], data)

    def close(self) -> None:
        """The command came to an end."""
        self._closed = True


class ExecContext:
    """What a handler knows and can do. Made by the fake daemon.

    Attributes:
        sandbox_id: The sandbox in which it runs.
        exec_id: Which exec it is; empty for a hook.
        argv: The command.
        cwd: The working directory, absolute.
        env: The environment of the sandbox, overridden key by key by that of the exec.
    """

    def __init__(self, command: Command, output: Output, sleep: Sleep) -> None:
        self.sandbox_id: str = command.sandbox_id
        self.exec_id: str = command.exec_id
        self.argv: tuple[str, ...] = command.argv
        self.cwd: str = command.cwd or WORKSPACE
        self.env: Mapping[str, str] = command.full_env
        self._output = output
        self._sleep = sleep

    def write_stdout(self, data: str | bytes) -> None:
        """Write to stdout; whoever follows the log sees it at once.

        Args:
            data: What to write; text is UTF-8.

        Raises:
            BrokenPipeError: The exec was killed with its sandbox.
            TypeError: It is neither text nor bytes.
        """
        self._output.write("stdout", as_bytes(data))

    def write_stderr(self, data: str | bytes) -> None:
        """Write to stderr; whoever follows the log sees it at once.

        Args:
            data: What to write; text is UTF-8.

        Raises:
            BrokenPipeError: The exec was killed with its sandbox.
            TypeError: It is neither text nor bytes.
        """
        self._output.write("stderr", as_bytes(data))

    async def sleep(self, seconds: float) -> None:
        """Wait by the daemon's clock; for coroutine functions.

        Args:
            seconds: How long.
        """
        await self._sleep(seconds)


ExecHandler: TypeAlias = Callable[[ExecContext], "int | Awaitable[int | None] | None"]
"""Stands for a process: is given an `ExecContext` and returns the exit code, None for 0."""


async def run_handler(handler: ExecHandler, context: ExecContext) -> int:
    """Let a handler be a process.

    Raises:
        HandlerError: It raised, or returned what is no exit code.
    """
    try:
        return _exit_code(await _result(handler, context))
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # what pytest.fail() raises is no Exception
        what = f"{type(error).__name__}: {error}"
        raise HandlerError(f"the handler of {context.argv!r} raised {what}") from error


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
        raise TypeError(f"a handler must return an exit code or None, not {result!r}")
    return checked_exit_code(result)


def checked_exit_code(code: int) -> int:
    """Return an exit code.

    Raises:
        TypeError: It is no integer.
        ValueError: It is not in 0..255.
    """
    check_type("exit code", code, int, "an integer")
    if code not in range(256):
        raise ValueError(f"exit code must be in 0..255, not {code!r}")
    return code


def as_bytes(data: str | bytes) -> bytes:
    """What is written; text is UTF-8.

    Raises:
        TypeError: It is neither text nor bytes.
    """
    if isinstance(data, str):
        return data.encode()
    check_type("data", data, bytes, "str or bytes")
    return data
