"""The files of a sandbox. The protocol has no calls for them: each operation is a command."""

from __future__ import annotations

import builtins
import math
import os
from typing import TYPE_CHECKING

from ..._aio import give_way, public
from ..._arguments import checks
from ..._arguments.durations import DurationLike, to_seconds
from ..._arguments.sandbox_paths import SandboxPath, SandboxPathLike
from ..._deadline import Deadline
from ..._output.host_files import HostFile, read_host_file
from ..._scripts import files as scripts
from ..._shared.shown import shown_id
from ...errors import (
    InvalidArgumentTypeError,
    SandboxFileNotFoundError,
    SandboxNotADirectoryError,
)
from ...models import SandboxFileInfo
from .file_commands import FileCommands, check_size

if TYPE_CHECKING:
    from .._client import AgentsSandboxClient


class SandboxFiles:
    """The files of one sandbox; `sandbox.files` has it.

    A path is absolute, or relative to `/workspace`. It may be bytes, or text with lone surrogates
    for bytes that are not UTF-8, as from `os.fsdecode`. Each call runs a command in the sandbox,
    which must be READY, as its user and with the `sh` of its image.

    Errors of files are a `SandboxFileError`, which is an `OSError`, and its subclasses, such as
    `SandboxFileNotFoundError`, which is a `FileNotFoundError`. What is read comes through the
    logs of the daemon, so it must run on this host.

    Args:
        client: The client.
        sandbox_id: The sandbox.
    """

    __module__ = "agents_sandbox"

    def __init__(self, client: AgentsSandboxClient, sandbox_id: str) -> None:
        self._id = sandbox_id
        self._commands = FileCommands(client, sandbox_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of sandbox {shown_id(self._id)}>"

    @public
    async def read_bytes(
        self, path: SandboxPathLike, *, timeout_seconds: DurationLike | None = None
    ) -> bytes:
        """Read a file, following links.

        Args:
            path: The file.
            timeout_seconds: Timeout of this call, in seconds; None: as in `client.run`.

        Returns:
            Its content, whole.

        Raises:
            SandboxFileNotFoundError: It does not exist.
            SandboxIsADirectoryError: It is a folder.
            SandboxFilePermissionError: The user in the sandbox may not read it.
            SandboxToolMissingError: The image has no `sh`, or no `cat`.
            SandboxFileError: Reading failed in another way.
            OutputUnavailableError: The daemon's logs cannot be read from here.
            SandboxClientError: As in `client.run`.
        """
        return await self._read("read_bytes", SandboxPath(path), _deadline(timeout_seconds))

    @public
    async def read_text(
        self,
        path: SandboxPathLike,
        encoding: str = "utf-8",
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> str:
        """Read a text file; line ends stay as they are.

        Args:
            path: The file.
            encoding: Its encoding.
            timeout_seconds: As in `read_bytes`.

        Returns:
            Its text, whole.

        Raises:
            UnicodeDecodeError: It has another encoding.
            SandboxFileError: As in `read_bytes`, like the others.
        """
        data = await self._read("read_text", SandboxPath(path), _deadline(timeout_seconds))
        return data.decode(encoding)

    @public
    async def write_bytes(
        self,
        path: SandboxPathLike,
        data: bytes | bytearray | memoryview,
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> None:
        """Write a file, or replace the content of one, following links.

        Readers see the old content or the new one, never a part: the data goes to a temporary file
        in the same folder, which then takes the name. An existing file keeps its mode, and gets
        the sandbox's user as owner; its other hard links keep the old content.

        Args:
            path: The file; its folder must exist.
            data: The content, up to 8 MiB. For more, use a mount, a copy or the workspace.
            timeout_seconds: As in `read_bytes`.

        Raises:
            InvalidArgumentError: The content is too long, or a path is not acceptable.
            SandboxFileNotFoundError: The folder does not exist.
            SandboxFilePermissionError: The user in the sandbox may not write there.
            SandboxIsADirectoryError: The path is a folder.
            SandboxFileError: Writing failed in another way: `errno` tells, such as `ENOSPC` on a
                full disk, `EBUSY` for a file that is mounted by itself.
            SandboxClientError: As in `client.run`.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InvalidArgumentTypeError(f"data must be bytes, not {type(data).__name__}")
        target, content = SandboxPath(path), bytes(data)
        await self._write("write_bytes", target, content, _deadline(timeout_seconds))

    @public
    async def write_text(
        self,
        path: SandboxPathLike,
        text: str,
        encoding: str = "utf-8",
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> None:
        """Write a text file; line ends stay as they are.

        Args:
            path: As in `write_bytes`.
            text: The text; encoded, up to 8 MiB.
            encoding: Its encoding.
            timeout_seconds: As in `read_bytes`.

        Raises:
            UnicodeEncodeError: The encoding does not have all characters of the text.
            SandboxFileError: As in `write_bytes`, like the others.
        """
        if not isinstance(text, str):
            raise InvalidArgumentTypeError(f"text must be a str, not {type(text).__name__}")
        target, content = SandboxPath(path), text.encode(encoding)
        await self._write("write_text", target, content, _deadline(timeout_seconds))

    @public
    async def exists(
        self, path: SandboxPathLike, *, timeout_seconds: DurationLike | None = None
    ) -> bool:
        """Return whether there is something at a path; a link counts if it leads to something.

        At a path with a slash at its end, only a folder counts.

        Args:
            path: The path.
            timeout_seconds: As in `read_bytes`.

        Raises:
            SandboxFilePermissionError: The user in the sandbox may not look there.
            SandboxClientError: As in `client.run`.
        """
        target, deadline = SandboxPath(path), _deadline(timeout_seconds)
        try:
            await self._commands.do("exists", scripts.EXISTS, target, deadline)
        except (SandboxFileNotFoundError, SandboxNotADirectoryError):
            return False
        return True

    @public
    async def list(
        self, path: SandboxPathLike = "/workspace", *, timeout_seconds: DurationLike | None = None
    ) -> builtins.list[SandboxFileInfo]:  # in this class, `list` is the method
        """List what is in a folder, hidden files included.

        Args:
            path: The folder.
            timeout_seconds: As in `read_bytes`.

        Returns:
            Its entries, by name.

        Raises:
            SandboxNotADirectoryError: It is a file.
            SandboxFileError: As in `read_bytes`, like the others.
        """
        target, deadline = SandboxPath(path), _deadline(timeout_seconds)
        answer = await self._commands.ask("list", scripts.LIST, target, deadline)
        with answer:
            return answer.entries()

    @public
    async def remove(
        self,
        path: SandboxPathLike,
        recursive: bool = False,
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> None:
        """Remove a file, a link or a folder. Links are not followed.

        Args:
            path: What to remove; its last part is not `.` or `..`.
            recursive: Whether to remove a folder with all that is in it.
            timeout_seconds: As in `read_bytes`.

        Raises:
            SandboxFileNotFoundError: It does not exist.
            SandboxFilePermissionError: The user in the sandbox may not remove it.
            SandboxNotADirectoryError: The path ends in a slash, and it is a file.
            SandboxFileError: The folder is not empty (`errno.ENOTEMPTY`), it is a mount
                (`errno.EBUSY`), or it failed in another way.
            InvalidArgumentError: The path ends in `.` or `..`.
            SandboxClientError: As in `client.run`.
        """
        target, deadline = SandboxPath(path), _deadline(timeout_seconds)
        target.check_named()
        flag = _flag("recursive", recursive)
        await self._commands.do("remove", scripts.REMOVE, target, deadline, flag)

    @public
    async def mkdir(
        self,
        path: SandboxPathLike,
        parents: bool = False,
        exist_ok: bool = False,
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> None:
        """Make a folder, as `pathlib.Path.mkdir` does.

        Args:
            path: The folder.
            parents: Whether to make missing parents, too.
            exist_ok: Whether the folder may exist.
            timeout_seconds: As in `read_bytes`.

        Raises:
            SandboxFileExistsError: Something is there.
            SandboxFileNotFoundError: The parent does not exist.
            SandboxFilePermissionError: The user in the sandbox may not make it.
            SandboxFileError: It failed in another way.
            SandboxClientError: As in `client.run`.
        """
        target, deadline = SandboxPath(path, is_folder=True), _deadline(timeout_seconds)
        flags = _flag("parents", parents), _flag("exist_ok", exist_ok)
        await self._commands.do("mkdir", scripts.MKDIR, target, deadline, *flags)

    @public
    async def download(
        self,
        path: SandboxPathLike,
        host_path: str | os.PathLike[str],
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> None:
        """Copy a file from the sandbox to this host, whatever its size.

        It appears on this host when it is complete. An existing file is replaced and keeps its
        mode.

        Args:
            path: The file in the sandbox. For a folder, pack it first, or use the workspace.
            host_path: The file on this host; its folder must exist.
            timeout_seconds: As in `read_bytes`.

        Raises:
            OSError: The file cannot be written on this host.
            SandboxFileError: As in `read_bytes`, like the others.
        """
        source, deadline = SandboxPath(path), _deadline(timeout_seconds)
        with HostFile(checks.path("host_path", host_path)) as target:
            answer = await self._commands.ask("download", scripts.READ, source, deadline)
            with answer:
                for piece in answer.pieces():
                    target.write(piece)
                    await give_way()
            target.complete()

    @public
    async def upload(
        self,
        host_path: str | os.PathLike[str],
        path: SandboxPathLike,
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> None:
        """Copy a file of this host to the sandbox, as `write_bytes` writes it.

        Args:
            host_path: The file on this host, up to 8 MiB; not a folder.
            path: The file in the sandbox.
            timeout_seconds: As in `read_bytes`.

        Raises:
            OSError: The file cannot be read on this host.
            SandboxFileError: As in `write_bytes`, like the others.
        """
        target, deadline = SandboxPath(path), _deadline(timeout_seconds)
        content = read_host_file(checks.path("host_path", host_path), scripts.LARGEST + 1)
        await self._write("upload", target, content, deadline)

    async def _read(self, action: str, path: SandboxPath, deadline: Deadline) -> bytes:
        answer = await self._commands.ask(action, scripts.READ, path, deadline)
        pieces = []
        with answer:
            for piece in answer.pieces():
                pieces.append(piece)
                await give_way()
        return b"".join(pieces)

    async def _write(self, action: str, path: SandboxPath, data: bytes, deadline: Deadline) -> None:
        check_size("the content", data)
        await self._commands.write(action, path, data, deadline)


def _deadline(timeout_seconds: DurationLike | None) -> Deadline:
    if timeout_seconds is None:
        return Deadline(math.inf)
    return Deadline(to_seconds("timeout_seconds", timeout_seconds))


def _flag(name: str, value: object) -> str:
    return "yes" if checks.boolean(name, value) else ""
