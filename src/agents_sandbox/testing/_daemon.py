"""`FakeDaemon`: the fake as its users see it."""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .._wire import v02_pb2 as pb
from ._commands.on_exec import ExecMatch, ExecScript, Scripts
from ._commands.passthrough import PassThroughRunner
from ._commands.scripted import ScriptedRunner, SilentRunner
from ._expectations import assert_all_used, place_of_caller
from ._faults.faults import Faults
from ._faults.rules import check_method
from ._host.declared import ContainerBehavior, DockerHost
from ._host.folders import remove_tree
from ._protocol.profile import profile_for
from ._protocol.wire_message import WireMessage, wire_bytes
from ._sandboxes.sandbox import PRIMARY
from ._server.engine import Engine
from ._server.leaks import streams_left
from ._server.recorder import RecordedCall, Recorder
from ._server.socket_file import SocketFile, checked_path, private_folder
from ._settings import CLEANUP_TTL, Settings, declared_host
from ._time.background import Background
from ._time.pause import Pause

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class FakeDaemon:
    """A daemon that keeps its sandboxes in memory, on a real Unix socket.

    It serves from a thread of its own, so blocking and asynchronous clients of this and
    of other processes can use it. Use it as a context manager.

    Args:
        version: The daemon release to stand for; `dev` is a local build of the newest.
        reported_version: What `Ping` tells instead of the release, such as `dev`.
        socket_path: Where to listen; by default in a new private folder. The socket and
            the folders that are missing above it are made private.
        exec_mode: What execs do that no `on_exec()` matches. `scripted`: nothing at all.
            `passthrough`: the commands really run on this host, as this user and
            unprotected. A folder per sandbox stands for its file system: `/workspace`, the
            home and the targets of mounts and copies are in it, and where a command names
            these paths it is given the folder's. What ends a sandbox's processes kills
            their process groups, on Linux also those that left their group.
        exec_log_root: Where exec logs go. They stay there, and missing folders are made
            private; by default they go to a private folder and are removed by `stop()`.
        virtual_time: Whether the daemon's time stands still until `advance()` moves it.
        ready_delay: Seconds that a create or a resume takes.
        stop_delay: Seconds that a stop takes; the real one takes about 5.
        idle_ttl: Seconds without an exec after which a sandbox is stopped; 0 is never.
        cleanup_ttl: Seconds until a stopped sandbox is deleted, and a deleted one forgotten;
            0 is the daemon's default of 15 days.
        known_images: The only images that can be had; by default all can.
        missing_images: Images that cannot be pulled.
        containers: What certain containers do, by the name of a service or companion, by the
            id of a sandbox (for its primary container) or by image.
        host_paths: Paths that count as folders of the daemon's host, so that they can be
            mounted and copied although they are not there; others are really looked up.
        docker: What the Docker engine has to offer; by default all.
        max_calls: How many calls `calls` remembers, the newest; None is all.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument has another type than it must have, such as a plain string for
            a collection of strings.
    """

    def __init__(
        self,
        *,
        version: str = "0.2.1",
        reported_version: str | None = None,
        socket_path: str | os.PathLike[str] | None = None,
        exec_mode: Literal["scripted", "passthrough"] = "scripted",
        exec_log_root: str | os.PathLike[str] | None = None,
        virtual_time: bool = False,
        ready_delay: float = 0.0,
        stop_delay: float = 0.0,
        idle_ttl: float = 600.0,
        cleanup_ttl: float = CLEANUP_TTL,
        known_images: Collection[str] | None = None,
        missing_images: Collection[str] = (),
        containers: Mapping[str, ContainerBehavior] | None = None,
        host_paths: Collection[str] = (),
        docker: DockerHost | None = None,
        max_calls: int | None = None,
    ) -> None:
        profile = profile_for(version, reported_version)
        if exec_mode not in ("scripted", "passthrough"):
            raise ValueError(f"exec_mode must be 'scripted' or 'passthrough': {exec_mode!r}")
        host = declared_host(
            known_images=known_images,
            missing_images=missing_images,
            containers=containers,
            paths=host_paths,
            docker=docker,
        )
        checked = None if socket_path is None else checked_path(socket_path)
        self._recorder = Recorder(max_calls)
        folder = private_folder()
        # For a daemon that is never stopped. A forked child must not clean up for us.
        self._remove_folder = weakref.finalize(self, _remove_folder, folder, os.getpid())
        self._socket = SocketFile(checked or folder / "agboxd.sock")
        self._settings = Settings(
            profile=profile,
            host=host,
            log_root=Path(exec_log_root or folder / "exec-logs").absolute(),
            virtual_time=virtual_time,
            ready_delay=ready_delay,
            stop_delay=stop_delay,
            idle_ttl=idle_ttl,
            cleanup_ttl=cleanup_ttl,
        )
        background = Background(virtual_time=self._settings.virtual_time)
        self._scripts = Scripts()
        scripted = exec_mode == "scripted"
        rest = (
            SilentRunner()
            if scripted
            else (PassThroughRunner(folder / "sandboxes", background.clock, host.paths))
        )
        self._runner = ScriptedRunner(self._scripts, rest, background.clock.sleep)
        self._engine = Engine(
            self._settings, self._socket, self._runner, self._recorder, background
        )
        self._faults = Faults(self._engine, background.clock.sleep)
        self._stopped = False

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

    @property
    def running(self) -> bool:
        """Whether the daemon is up, if only to wait for its last event streams to end."""
        return self._engine.running

    def start(self) -> Self:
        """Listen on the socket; ready when this returns.

        After `kill()` or `terminate()` the daemon starts again, with all that it had stored.

        Raises:
            OSError: The socket path is in use, or cannot be used.
            RuntimeError: The daemon is running, or was stopped.
        """
        if self._stopped or self.running:
            raise RuntimeError(
                f"the fake daemon {'was stopped' if self._stopped else 'is running'}"
            )
        atexit.register(self._shut_down)
        first = not self._engine.started
        try:
            self._engine.start()
        except BaseException:
            if first:
                self._shut_down()
            raise
        return self

    def stop(self) -> None:
        """End all calls, streams and process groups and remove the daemon's files, for good.

        What was recorded can still be read. Repeated calls do nothing.

        Raises:
            BaseException: What a handler of `on_exec()` raised, the first of them all, or
                else what made background work end. A context that another exception leaves
                does not raise it.
        """
        self._shut_down()
        self._scripts.raise_error()
        self._engine.raise_error()

    def _shut_down(self) -> None:
        self._stopped = True
        self._engine.stop()
        self._remove_folder()
        atexit.unregister(self._shut_down)

    def kill(self, *, stale_socket: bool = True) -> None:
        """Kill the daemon, as SIGKILL does: streams break, containers and processes go on.

        Scripts of `on_exec()` end with the daemon, for it plays them itself.

        Args:
            stale_socket: Leave the socket file behind, to which nobody can connect.

        Raises:
            RuntimeError: The daemon is not running.
        """
        self._require_running()
        self._engine.kill(stale_socket=stale_socket)

    def terminate(self) -> None:
        """Ask the daemon to end, as SIGTERM does; returns at once.

        The socket file is removed and new calls fail with UNAVAILABLE. Calls in progress and
        background work continue. The daemon ends once its clients have ended their event
        streams, for which it waits without limit; see `wait_until_ended()`.

        Raises:
            RuntimeError: The daemon is not running.
        """
        self._require_running()
        self._engine.terminate()

    def wait_until_ended(self, *, timeout: float = 10.0) -> None:
        """Block the calling thread until the daemon has ended after `terminate()`.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: Event streams were open all the time.
            RuntimeError: Nobody asked it to end.
        """
        self._engine.wait_until_ended(timeout)

    @contextmanager
    def down(self, *, stale_socket: bool = True) -> Iterator[None]:
        """Kill the daemon, and start it again when the context is left.

        Args:
            stale_socket: As for `kill()`.

        Raises:
            RuntimeError: The daemon is not running.
        """
        self.kill(stale_socket=stale_socket)
        try:
            yield
        finally:
            if not self._stopped:
                self.start()

    def _require_running(self) -> None:
        if not self.running:
            raise RuntimeError("the fake daemon is not running")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(exc)

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait((starting,))
            await asyncio.to_thread(self._shut_down)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._leave, exc)

    def _leave(self, exc: BaseException | None) -> None:
        if exc is None:
            self.stop()
        else:
            self._shut_down()

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

        Execs created before are not affected. One that nothing matches does what the
        `exec_mode` says. Hooks are matched too: as `("sh", "-lc", <hook>)`.

        Args:
            match: The exact argv, or a function that is given the argv. What the function
                raises counts as a no, and `stop()` raises it again.

        Returns:
            The script, to be filled in.

        Raises:
            TypeError: `match` is neither a function nor an argv; a plain string is none.
            ValueError: The argv is empty.
        """
        return self._scripts.on_exec(match, place_of_caller())

    @contextmanager
    def paused(self) -> Iterator[Pause]:
        """Freeze all background progress until the context is left.

        Answers to RPCs, and the changes they make at once, are not affected. What is
        frozen: the progress of creates, resumes, stops and deletes, and the start and
        the end of execs.
        """
        self._engine.hold()
        try:
            yield Pause(self._engine.step)
        finally:
            self._engine.release()

    def advance(self, seconds: float, *, timeout: float = 60.0) -> None:
        """Let virtual time pass, and all happen that is due by then.

        Args:
            seconds: How much time passes for the daemon.
            timeout: Seconds of real time that it may take at most.

        Raises:
            RuntimeError: The daemon was not made with `virtual_time=True`, or is not running.
            ValueError: The time is negative.
            TimeoutError: It took too long.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be finite and not negative: {seconds!r}")
        self._engine.advance(seconds, timeout)

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
            RuntimeError: The daemon was stopped, which left nothing.
        """
        if self._stopped:
            raise RuntimeError("the fake daemon was stopped: look for leaks before")
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

    def kill_container(self, sandbox_id: str, name: str = PRIMARY, *, oom: bool = False) -> None:
        """Kill a container behind the daemon's back, so that Docker does not restart it.

        Args:
            sandbox_id: The sandbox.
            name: The name of a service or companion; without it, the primary container.
            oom: Whether it ran out of memory.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: It has no such container, or it is not running.
        """
        self._engine.kill_container(sandbox_id, name, oom=oom)

    def remove_container(self, sandbox_id: str, name: str = PRIMARY) -> None:
        """Remove a container behind the daemon's back, running or not.

        Args:
            sandbox_id: The sandbox.
            name: The name of a service or companion; without it, the primary container.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: It has no such container.
        """
        self._engine.remove_container(sandbox_id, name)

    def purge(self, sandbox_id: str) -> None:
        """Drop the record of a deleted sandbox, as retention does in the end.

        Its ids stay taken; its event streams end as those of an unknown sandbox.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: It is not DELETED.
        """
        self._engine.purge(sandbox_id)


def _remove_folder(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        remove_tree(folder)
