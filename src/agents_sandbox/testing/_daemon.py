"""`FakeDaemon`: the fake as its users see it."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .._wire import v02_pb2 as pb
from ._engine import Engine
from ._expectations import assert_all_used
from ._fault_rules import check_method
from ._faults import Faults
from ._leaks import streams_left
from ._lifecycle import Settings
from ._passthrough import PassThroughRunner
from ._profile import profile_for
from ._recorder import RecordedCall, Recorder
from ._scripts import ExecMatch, ExecScript, ScriptedRunner
from ._socket import SocketFile, checked_path, private_folder
from ._wire_message import WireMessage, wire_bytes

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class FakeDaemon:
    """A daemon that keeps its sandboxes in memory, on a real Unix socket.

    It serves from a thread of its own, so blocking and asynchronous clients of this and
    of other processes can use it. It can be started once; use it as a context manager.

    Args:
        version: The daemon version to stand for.
        socket_path: Where to listen; by default in a new private folder. The socket and
            the folders that are missing above it are made private.
        exec_mode: `scripted` plays what `on_exec()` says. `passthrough` really runs the
            commands on this host, as this user and unprotected, in one folder per sandbox
            that stands for `/workspace`. What ends a sandbox's processes kills their process
            groups; one that left its group, by `setsid`, lives on.
        exec_log_root: Where exec logs go. They stay there, and missing folders are made
            private; by default they go to a private folder and are removed by `stop()`.
        ready_delay: Seconds that a create or a resume takes.
        stop_delay: Seconds that a stop takes; the real one takes about 5.
        missing_images: Images that cannot be pulled.
        host_paths: Paths that count as folders of the daemon's host, so that they can be
            mounted and copied although they are not there; others are really looked up.
        max_calls: How many calls `calls` remembers, the newest; None is all.

    Raises:
        ValueError: An argument is out of range.
        TypeError: `missing_images` or `host_paths` is a plain string.
    """

    def __init__(
        self,
        *,
        version: str = "0.2.1",
        socket_path: str | os.PathLike[str] | None = None,
        exec_mode: Literal["scripted", "passthrough"] = "scripted",
        exec_log_root: str | os.PathLike[str] | None = None,
        ready_delay: float = 0.0,
        stop_delay: float = 0.0,
        missing_images: Collection[str] = (),
        host_paths: Collection[str] = (),
        max_calls: int | None = None,
    ) -> None:
        profile = profile_for(version)
        if exec_mode not in ("scripted", "passthrough"):
            raise ValueError(f"exec_mode must be 'scripted' or 'passthrough': {exec_mode!r}")
        for name, values in (("missing_images", missing_images), ("host_paths", host_paths)):
            if isinstance(values, str):
                raise TypeError(f"{name} must be a collection of strings, not one: {values!r}")
        if not (ready_delay >= 0 and stop_delay >= 0):  # so put for NaN
            raise ValueError("delays must not be negative")
        if max_calls is not None and max_calls < 0:
            raise ValueError(f"max_calls must not be negative: {max_calls!r}")
        checked = None if socket_path is None else checked_path(socket_path)
        folder = private_folder()
        # For a daemon that is never stopped. A forked child must not clean up for us.
        self._remove_folder = weakref.finalize(self, _remove_folder, folder, os.getpid())
        self._socket = SocketFile(checked or folder / "agboxd.sock")
        self._scripts = ScriptedRunner() if exec_mode == "scripted" else None
        self._runner = self._scripts or PassThroughRunner(folder / "workspaces")
        self._settings = Settings(
            profile=profile,
            log_root=Path(exec_log_root or folder / "exec-logs").absolute(),
            ready_delay=ready_delay,
            stop_delay=stop_delay,
            missing_images=frozenset(missing_images),
            host_paths=frozenset(host_paths),
        )
        self._recorder = Recorder(max_calls)
        self._engine = Engine(self._settings, self._socket, self._runner, self._recorder)
        self._faults = Faults(self._engine)
        self._started = False

    @property
    def version(self) -> str:
        """The daemon version that this one stands for."""
        return self._settings.profile.version

    @property
    def socket_path(self) -> str:
        """Where the daemon listens, or will."""
        return str(self._socket.path)

    @property
    def exec_log_root(self) -> Path:
        """The folder of all exec logs, one folder per sandbox in it."""
        return self._settings.log_root

    def start(self) -> Self:
        """Listen on the socket; ready when this returns.

        Raises:
            OSError: The socket path is in use, or cannot be used.
            RuntimeError: The daemon was started or stopped before.
        """
        if self._started:
            raise RuntimeError("a fake daemon runs only once: make a new one")
        self._started = True
        atexit.register(self.stop)
        try:
            self._engine.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all calls, streams and process groups and remove the daemon's files.

        What was recorded can still be read. Repeated calls do nothing.
        """
        self._started = True
        self._engine.stop()
        self._remove_folder()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def faults(self) -> Faults:
        """What can be made to go wrong."""
        return self._faults

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """The calls so far, in order of arrival; those that were refused, too."""
        return self._recorder.calls

    @property
    def open_streams(self) -> int:
        """How many event streams are open now."""
        return self._recorder.open_streams

    def wait_for_call(self, method: str, *, count: int = 1, timeout: float = 10.0) -> None:
        """Block the calling thread until `count` calls of an RPC have arrived in all.

        Args:
            method: The plain RPC name, such as `CreateSandbox`.
            count: How many calls.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: They did not arrive in time.
            ValueError: There is no such RPC.
        """
        check_method(method)
        self._recorder.wait_until(
            lambda: self._recorder.count(method) >= count,
            timeout,
            lambda: f"{method} was called {self._recorder.count(method)} of {count} times",
        )

    def wait_for_streams(self, count: int, *, timeout: float = 10.0) -> None:
        """Block the calling thread until exactly `count` event streams are open.

        Args:
            count: How many streams.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: The number was another one all the time.
        """
        self._recorder.wait_until(
            lambda: self._recorder.open_streams == count,
            timeout,
            lambda: f"{self._recorder.open_streams} event streams are open, not {count}",
        )

    def on_exec(self, match: ExecMatch) -> ExecScript:
        """Say what certain execs do; the last registration that matches counts.

        Execs created before are not affected. One that nothing matches writes nothing
        and exits with 0.

        Args:
            match: The exact argv, or a function that is given the argv.

        Returns:
            The script, to be filled in.

        Raises:
            RuntimeError: The daemon runs commands for real.
            TypeError: `match` is a plain string.
        """
        if self._scripts is None:
            raise RuntimeError("on_exec() needs exec_mode='scripted'")
        return self._scripts.on_exec(match)

    @contextmanager
    def paused(self) -> Iterator[Pause]:
        """Freeze all background progress until the context is left.

        Answers to RPCs, and the changes they make at once, are not affected. What is
        frozen: the progress of creates, resumes, stops and deletes, and the start and
        the end of execs.
        """
        self._engine.hold()
        try:
            yield Pause(self._engine.advance)
        finally:
            self._engine.release()

    def assert_all_used(self) -> None:
        """Check that whatever the test has planned came to pass.

        That is: the calls of `faults.fail_next()` and `faults.answer_next()` and the
        scripts of `on_exec()`, but those that are `optional`.

        Raises:
            AssertionError: Something was never used; it says where it was planned.
        """
        self._engine.call(lambda: assert_all_used(self._engine.faults.planned, self._scripts))

    def assert_no_leaks(
        self,
        *,
        streams: bool = True,
        sandboxes: bool = False,
        execs: bool = False,
        processes: bool = True,
        timeout: float = 10.0,
    ) -> None:
        """Check that nothing is left behind; must be called before `stop()`.

        Args:
            streams: Look for open event streams.
            sandboxes: Look for sandboxes that are not DELETED.
            execs: Look for running execs.
            processes: Look for process groups that commands of `passthrough` left running.
            timeout: Seconds that streams which their clients have cancelled get to end.

        Raises:
            AssertionError: Something is left; it says what.
        """
        left = streams_left(self._recorder.streams_left(timeout)) if streams else []
        left += self._engine.leftovers(sandboxes=sandboxes, execs=execs, processes=processes)
        if left:
            raise AssertionError("\n  ".join(["left behind:", *left]))

    def emit(self, sandbox_id: str, event: WireMessage) -> None:
        """Append an event of any kind to a sandbox's log; its state does not change.

        Args:
            sandbox_id: The sandbox.
            event: The event. Sequence, ids and time are filled in where unset.

        Raises:
            LookupError: There is no such sandbox.
        """
        self._engine.emit(sandbox_id, pb.SandboxEvent.FromString(wire_bytes(event)))

    def kill_primary(self, sandbox_id: str) -> None:
        """Let the sandbox's container die behind the daemon's back.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: It is not READY, so no container runs.
        """
        self._engine.kill_primary(sandbox_id)

    def purge(self, sandbox_id: str) -> None:
        """Drop the record of a deleted sandbox, as retention does in the end.

        Its ids stay taken; its event streams end as those of an unknown sandbox.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: It is not DELETED.
        """
        self._engine.purge(sandbox_id)


class Pause:
    """A pause that is on; see `FakeDaemon.paused()`."""

    def __init__(self, advance: Callable[[int, float], None]) -> None:
        self._advance = advance

    def step(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Let exactly `count` frozen changes happen, oldest first; wait for them to come up.

        Args:
            count: How many changes.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: There was nothing to let happen.
            RuntimeError: The daemon is not running.
        """
        self._advance(count, timeout)


def _remove_folder(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
