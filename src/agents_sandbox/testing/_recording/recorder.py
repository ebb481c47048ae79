"""`Recorder`: records what a daemon does for a client."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import grpc.aio

from ..._copies import refuse_copy
from ..._output.log_file import LogFile
from ..._shared.shown import shown, shown_id
from ..._surroundings.grpc_loop import GrpcLoop
from ...errors import OutputUnavailableError
from .._cassettes.replacing import redactions
from .._cassettes.store import check_can_save, load, save
from .._server.loop_thread import LoopThread, check_can_start
from .._server.private_folder import PrivateFolder
from .._server.socket_file import SocketFile, checked_path, grpc_address
from .composing import compose
from .observer import Observer
from .outcome import Outcome, ask
from .relay import OPTIONS, Relay

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_GRACE = 0.5
"""Seconds that calls have to end when the recorder is closed."""
_TIMEOUT = 600.0
"""Seconds that the daemon may take to tell all events, in total."""


class Recorder:
    """Stands between clients and a live daemon, and records a cassette for `FakeDaemon`.

    Clients use `socket_path` in place of the daemon's socket; any program can. Every call passes
    unchanged. The recorder reads the logs of the daemon, so it must run on the same host and be
    closed before the daemon ends. Use it as a context manager: a block that an exception leaves
    writes nothing.

    Args:
        daemon_socket: The path of the daemon's socket.
        cassette: The path of the cassette to write; missing folders are created. Large outputs are
            in files beside it.
        socket_path: The path of the recorder's own socket; by default in a new private folder.
        redact: Texts that are replaced everywhere, such as passwords. On replay, anything may be
            in their place. Values of environment variables with 8 characters or more are replaced,
            too; on replay, a variable has the value that the test sets.
        mode: What happens to a cassette that exists. `rewrite`: it is replaced. `new_episodes`:
            its takes stay, and those that it lacks are appended.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument has the wrong type.
    """

    def __init__(
        self,
        daemon_socket: str | os.PathLike[str],
        *,
        cassette: str | os.PathLike[str],
        socket_path: str | os.PathLike[str] | None = None,
        redact: Collection[str] = (),
        mode: Literal["rewrite", "new_episodes"] = "rewrite",
    ) -> None:
        if mode not in ("rewrite", "new_episodes"):
            raise ValueError(f"mode must be 'rewrite' or 'new_episodes': {shown(mode)}")
        redactions(redact)
        self._redact = redact
        self._mode = mode
        if not os.fspath(cassette):
            raise ValueError("cassette must not be empty")
        self._cassette = Path(cassette).absolute()
        self._daemon = checked_path(daemon_socket)
        self._remove_folder: Callable[[], object] = lambda: None
        if socket_path is None:
            folder = PrivateFolder()
            # Also for a recorder that is never started.
            self._remove_folder = weakref.finalize(self, folder.remove)
            self._socket = SocketFile(folder.path / "recorder.sock")
        else:
            self._socket = SocketFile(checked_path(socket_path))
        self._last_identity = self._daemon_identity()
        self._observer = Observer()
        self._thread = LoopThread(self._run)
        # Made in the thread: they belong to its loop.
        self._grpc_loop: GrpcLoop
        self._server: grpc.aio.Server
        self._changes = threading.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} socket={shown(self.socket_path, 200)} "
            f"cassette={shown(str(self._cassette), 200)}>"
        )

    def __reduce__(self) -> NoReturn:
        refuse_copy(self, "pass its socket_path to where a client needs it")

    @property
    def socket_path(self) -> str:
        """The path of the socket that clients use."""
        return str(self._socket.path)

    def start(self) -> Self:
        """Start recording; when this returns, it listens on the socket.

        Returns:
            The recorder itself.

        Raises:
            OSError: The socket path is in use or cannot be used, nobody listens on the daemon's
                socket, or the cassette could not be written.
            ValueError: The cassette to extend cannot be read.
            RuntimeError: It was started before, this process was forked while a fake daemon or an
                async client was open, or gevent has patched its threads.
        """
        check_can_start("a recorder", "python -m agents_sandbox.testing record")
        with self._changes:
            if self._closed or self._thread.started:
                raise RuntimeError("a recorder can be started only once: create a new one")
            try:
                self._check_can_record()
                self._thread.start()
            except BaseException:
                self._end()
                raise
        return self

    def _check_can_record(self) -> None:
        """Fail now, and not after all has happened that cannot be recorded."""
        check_can_save(self._cassette)
        if self._mode == "new_episodes" and self._cassette.exists():
            load(self._cassette)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            failure = probe.connect_ex(str(self._daemon))
        if failure not in (0, errno.EAGAIN):  # "try again" comes from a daemon, too
            raise OSError(failure, f"no daemon listens: {os.strerror(failure)}", str(self._daemon))

    def close(self) -> None:
        """Stop listening, and write the cassette. Repeated calls do nothing.

        Raises:
            RuntimeError: The daemon does not answer: the cassette is not written. Or a sandbox was
                purged: the cassette has the others.
            OSError: The cassette cannot be written.
            ValueError: The cassette to extend cannot be read.
        """
        with self._changes:
            if self._closed or not self._thread.started:
                self._end()
                return
            try:
                outcome = self._thread.run(self._finish(), _TIMEOUT)
            finally:
                self._end()
            if self._observer.error is not None:
                raise RuntimeError(
                    "the cassette was not written: the recorder did not understand a call"
                ) from self._observer.error
            cassette = compose(self._observer, outcome, _read_log, self._redact)
            save(self._cassette, cassette, keep=self._mode == "new_episodes")
            if outcome.gone:
                raise RuntimeError(
                    f"the cassette lacks sandboxes that the daemon has purged: "
                    f"{', '.join(map(shown_id, outcome.gone))}. Close the recorder before that"
                )

    def discard(self) -> None:
        """Stop listening, and write nothing. Repeated calls do nothing."""
        with self._changes:
            self._end()

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._thread.stop()
            self._remove_folder()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            self.close()
        else:
            self.discard()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        self._grpc_loop = GrpcLoop(asyncio.get_running_loop())
        self._server = self._grpc_loop.open(lambda: grpc.aio.server(options=OPTIONS))
        relay = Relay(self._connect, self._observer, self._look)
        self._server.add_generic_rpc_handlers((relay,))
        self._socket.listen(self._server.add_insecure_port)
        try:
            await self._server.start()
            yield
        finally:
            await self._stop_server()
            await self._grpc_loop.settle(_GRACE)

    async def _stop_server(self) -> None:
        self._socket.close()
        await self._server.stop(_GRACE)

    async def _finish(self) -> Outcome:
        await self._stop_server()
        async with self._connect() as channel:
            return await ask(channel, self._observer.sandboxes.values())

    def _connect(self) -> grpc.aio.Channel:
        return self._grpc_loop.open(
            lambda: grpc.aio.insecure_channel(grpc_address(self._daemon), options=OPTIONS)
        )

    def _look(self) -> None:
        """Give the own socket file another identity if the daemon's has one.

        Clients tell by it that another daemon listens.
        """
        found = self._daemon_identity()
        if found not in (None, self._last_identity):
            self._last_identity = found
            self._socket.renew()

    def _daemon_identity(self) -> tuple[int, ...] | None:
        try:
            found = self._daemon.stat()
        except OSError:  # there is no daemon now
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns


def _read_log(path: str) -> bytes | None:
    try:
        with LogFile(path) as log:
            data = bytearray()
            while piece := log.read(len(data), 1 << 20):
                data += piece
            return bytes(data)
    except OutputUnavailableError:
        return None
