"""The commands that work on the files of a sandbox, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..._aio import Call, CleanUp, Mailbox
from ..._arguments.creates import NewExec
from ..._arguments.sandbox_paths import SandboxPath
from ..._deadline import Backoff, Deadline
from ..._goals.goal import within
from ..._output.file_answers import FileAnswer, check_input
from ..._output.result import ExecResult
from ..._scripts import files as scripts
from ..._shared.helpers import stdin_file
from ..._shared.shown import shown_id
from ...errors import (
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxFileError,
)
from .._block import Block

if TYPE_CHECKING:
    from .._client import AgentsSandboxClient

_CLEANUP_SECONDS = 5.0
"""How long an interrupted write may take to remove its temporary file."""

_SHORTEST_SECONDS = 0.001

# A shell of an image could otherwise count characters, not bytes.
_ENVIRONMENT = {"LC_ALL": "C"}


class FileCommands:
    """Runs the commands.

    Args:
        client: The client.
        sandbox_id: The sandbox.
    """

    def __init__(self, client: AgentsSandboxClient, sandbox_id: str) -> None:
        self._client = client
        self._id = sandbox_id

    async def ask(
        self,
        action: str,
        script: str,
        path: SandboxPath,
        deadline: Deadline,
        *args: str,
    ) -> FileAnswer:
        """Run the script of one operation and return its answer, which the caller closes."""
        mark = scripts.new_mark()
        command = scripts.file_command(action, script, mark, path.as_written, *args)
        return await self._answer(action, path, command, mark, deadline)

    async def do(
        self,
        action: str,
        script: str,
        path: SandboxPath,
        deadline: Deadline,
        *args: str,
    ) -> None:
        """Run the script of one operation that reports nothing."""
        answer = await self.ask(action, script, path, deadline, *args)
        answer.close()

    async def write(self, action: str, path: SandboxPath, data: bytes, deadline: Deadline) -> None:
        """Write a file; the data is not too long."""
        mark, temporary = scripts.new_mark(), scripts.new_temporary()
        commands = list(scripts.write_commands(mark, path.as_written, temporary, data))
        async with self.temporary(path, temporary, used=len(commands) > 1):
            await self._run_all(action, path, commands, mark, deadline)

    async def bring_input(
        self, path: SandboxPath, temporary: str, data: bytes, deadline: Deadline
    ) -> None:
        """Write the file for an input that is too long for one argument."""
        mark = scripts.new_mark()
        commands = scripts.input_commands(mark, temporary, data)
        await self._run_all("input", path, commands, mark, deadline)

    def temporary(self, path: SandboxPath, name: str, *, used: bool) -> _Temporary:
        """Return a context manager for the commands that write and use a temporary file.

        Args:
            path: What it is for.
            name: Its name.
            used: Whether there is one. A single command needs none, or cleans up itself.
        """
        return _Temporary(lambda: self.drop(path, name), used=used)

    async def drop(self, path: SandboxPath, temporary: str, until: Deadline | None = None) -> None:
        """Remove a temporary file, as far as possible, after the commands that write it."""
        deadline = Deadline(_CLEANUP_SECONDS)
        if until is not None:
            deadline = deadline.earlier(until)
        mark = scripts.new_mark()
        command = scripts.drop_command(mark, path.absolute, temporary)
        with suppress(SandboxClientError):
            writing, backoff, pause = True, Backoff(), Mailbox[None]()
            while writing and not deadline.expired():
                active = await self._client.list_active_execs(
                    sandbox_id=self._id, timeout_seconds=_left(deadline)
                )
                writing = any(temporary in handle.command for handle in active)
                answer = await self._answer("drop", path, command, mark, deadline)
                answer.close()
                if writing:
                    await pause.take(backoff.pause(deadline))

    async def _run_all(
        self,
        action: str,
        path: SandboxPath,
        commands: Iterable[Sequence[str]],
        mark: str,
        deadline: Deadline,
    ) -> None:
        for command in commands:
            answer = await self._answer(action, path, command, mark, deadline)
            answer.close()

    async def _answer(
        self,
        action: str,
        path: SandboxPath,
        command: Sequence[str],
        mark: str,
        deadline: Deadline,
    ) -> FileAnswer:
        try:
            result = await self._client.run(
                self._id,
                command,
                cwd="/",  # the default may not exist
                env_overrides=_ENVIRONMENT,
                max_output_bytes=0,
                timeout_seconds=_left(deadline),
            )
        except OperationTimeoutError as timeout:
            seconds = timeout.timeout_seconds if deadline.bound is None else deadline.bound
            raise OperationTimeoutError(
                f"{action} of {path} in sandbox {shown_id(self._id)} did not end {within(seconds)}",
                timeout_seconds=seconds,
                sandbox_id=self._id,
                exec_id=timeout.exec_id,
            ) from timeout
        return FileAnswer(action, path, result, mark)


class _Temporary(Block):
    """A context manager: if its block raises, a temporary file is removed, as far as possible.

    Args:
        drop: Removes it, after the commands that write it.
        used: Whether there is one.
    """

    def __init__(self, drop: Call[None], *, used: bool) -> None:
        self._dropping = CleanUp(drop)
        self._used = used

    async def __aenter__(self) -> None:
        pass

    async def _end(self, raising: BaseException | None) -> None:
        # A script that failed has done it. What is being closed must not wait.
        done = raising is None or isinstance(raising, (SandboxFileError, GeneratorExit))
        if self._used and not done:
            await self._dropping.finish(raising)


class Input:
    """The input of one command.

    Args:
        client: The client.
        new: The command.
        data: Its input.

    Attributes:
        new: The command that has the input.
    """

    def __init__(self, client: AgentsSandboxClient, new: NewExec, data: bytes) -> None:
        check_size("input", data)
        self._commands = FileCommands(client, new.sandbox_id)
        self._data = data
        self._in_file = scripts.needs_file(data)
        self._temporary = scripts.new_temporary()
        self._path = SandboxPath(stdin_file(self._temporary))
        command = scripts.command_with_input(new.command, self._temporary, data)
        self.new: NewExec = new.with_command(command)

    async def used_by(self, start: Callable[[NewExec], Any], deadline: Deadline) -> Any:
        """Bring the input to the sandbox, as far as the command itself does not, and start that.

        Args:
            start: Starts the command; it may also wait for its end.
            deadline: For the input.

        Raises:
            SandboxFileError: The command was not started, because it would not have had its input.
            OperationTimeoutError: The same, because the input did not arrive in time; or what
                `start` raises.
        """
        async with self._commands.temporary(self._path, self._temporary, used=self._in_file):
            await self._bring(deadline)
            return await start(self.new)

    async def drop(self, until: Deadline) -> None:
        """Remove the input, as far as possible, if the command was killed before it did."""
        if self._in_file:
            await self._commands.drop(self._path, self._temporary, until)

    def check(self, result: ExecResult) -> None:
        """Check that the command was started with its input.

        Raises:
            SandboxFileError: It was not started.
        """
        check_input(result, self._path)

    async def _bring(self, deadline: Deadline) -> None:
        try:
            await self._commands.bring_input(self._path, self._temporary, self._data, deadline)
        except OperationTimeoutError as timeout:
            raise OperationTimeoutError(
                f"the input of exec {shown_id(self.new.exec_id)} did not arrive in sandbox "
                f"{shown_id(self.new.sandbox_id)} {within(deadline.bound)}, so the command was not "
                "started: increase timeout_seconds or exec_timeout_seconds",
                timeout_seconds=deadline.bound,
                sandbox_id=self.new.sandbox_id,
                exec_id=self.new.exec_id,
            ) from timeout


def check_size(name: str, data: bytes) -> None:
    """Refuse what is too long to go through commands."""
    if len(data) > scripts.LARGEST:
        raise InvalidArgumentError(
            f"{name} must not be longer than {scripts.LARGEST >> 20} MiB, and this has {len(data)} "
            "bytes: create the sandbox with a mount, a copy or workspace="
        )


def _left(deadline: Deadline) -> float | None:
    left = deadline.remaining()
    return None if left is None else max(left, _SHORTEST_SECONDS)
