"""`FakeDaemon`: the public face of the fake daemon."""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from .._copies import refuse_copy
from .._shared.shown import shown, shown_id
from .._shared.trees import remove_tree
from .._wire import v02_pb2 as pb
from ._cassettes.player import Player
from ._cassettes.runner import CassetteRunner
from ._cassettes.store import load
from ._commands.files import FilesRunner
from ._commands.matching import ExecMatch
from ._commands.modes import make_real_runner, possible_mode
from ._commands.on_exec import ExecScript
from ._commands.scripted import ScriptedRunner, UnscriptedRunner
from ._commands.scripts import Scripts
from ._expectations import Blocks, assert_all_used, place_of_caller
from ._faults.faults import Faults
from ._host.declared import ContainerBehavior, DockerHost
from ._protocol.profile import RELEASES, profile_for
from ._protocol.rpcs import check_method
from ._protocol.wire_message import WireMessage, wire_bytes
from ._records.containers import ContainerRecord, NetworkRecord
from ._records.records import ExecRecord, SandboxRecord
from ._sandboxes.sandbox import PRIMARY
from ._server.engine import Engine
from ._server.leaks import leaked_streams
from ._server.loop_thread import check_can_start
from ._server.private_folder import PrivateFolder
from ._server.recorder import RecordedCall, Recorder
from ._server.socket_file import SocketFile, checked_path
from ._settings import CLEANUP_TTL, Settings, declared_host
from ._time.background import Background
from ._time.pause import Pause

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class FakeDaemon:
    """A daemon on a real Unix socket that keeps its sandboxes in memory.

    It serves from its own thread, so blocking and asynchronous clients of this and other
    processes can use it. Use it as a context manager.

    Args:
        version: The daemon release to imitate, by default the newest; `dev` is a local build of it.
        reported_version: The version that `ping()` returns; by default the release.
        socket_path: The path of the socket, written as for a client; by default in a new
            private folder. The socket and missing folders are created private.
        exec_mode: What execs that match no `on_exec()` do. `scripted`: nothing.
            `isolated`: they really run on this host, as this user, in Linux namespaces: each
            sandbox has its own file system and sees no processes but its own. Programs and
            settings of the host are read-only. It keeps tests apart, and is no protection
            against malicious commands.
            `passthrough`: they really run on this host, as this user and unprotected. A
            folder stands in for the file system of each sandbox: `/workspace`, the home and
            the targets of mounts and copies are in that folder, and its path is substituted
            for these paths in commands.
            `auto`: `isolated` where this system allows it, else `passthrough` with a warning.
            With the last three, stopping or deleting the sandbox and stopping the daemon kill
            the commands with all that they started; where there are no namespaces and no
            Linux, processes that left their process group survive.
        unscripted: What commands that match no `on_exec()` do if they do not really run.
            `succeed`: they print nothing and exit with 0. `fail`: they fail before they start,
            the error of the exec names the scripts that came close, and `stop()` raises an
            `AssertionError`. Hooks are commands, too. It has no effect with a cassette.
        cassette: The path of a recording of `Recorder`. Commands do what the cassette has for
            their argv, working directory and input, in their sandbox; each take is for one
            command. A script of `on_exec()` that matches replaces the take. A command without
            either fails as with `unscripted="fail"`; hooks succeed. Commands take as long as they
            did if `virtual_time` is set, else no time.
        in_order: Whether a sandbox must run the commands of its cassette in the recorded order.
        exec_log_root: The folder of exec logs. They remain there, and missing folders are
            created private; by default a private folder that `stop()` removes.
        virtual_time: Whether the daemon's clock stands still until `advance()` moves it.
        ready_delay: Seconds that a create or a resume takes. Creates that fail before their
            primary container is made fail without this delay.
        stop_delay: Seconds that a stop takes; about 5 on a real daemon.
        remove_delay: Seconds that a delete takes to remove containers; about 0.3 on a real
            daemon. Meanwhile a resume that is in progress can still make the sandbox READY.
        idle_ttl: Seconds without an exec until a sandbox is stopped; 0: never.
        cleanup_ttl: Seconds until a stopped sandbox is deleted and a deleted one is purged;
            0: the daemon's default of 15 days.
        known_images: The only images that exist; None: every image exists.
        missing_images: Images that cannot be pulled.
        image_folders: Folders that every image has, besides `/workspace`, `/home/agbox` and
            those of a Debian image. The target of a copy must be a folder that exists.
        images_without_command: Images that have no command of their own: a service or
            companion that names none cannot be created.
        containers: What containers do. The key is the name of a service or companion, the
            sandbox id of a primary container, or an image.
        host_paths: Folders that mounts and copies find on the host; all other paths must
            really exist.
        docker: What the Docker engine supports; by default everything.
        max_calls: How many calls `calls` keeps, and how many execs `execs` keeps when the daemon
            stops, the newest ones; None: all.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument has the wrong type, such as a string instead of a collection
            of strings.
        RuntimeError: `exec_mode` is `isolated`, and this system does not allow that; the message
            says what is missing.
        OSError: The cassette cannot be read.
    """

    def __init__(
        self,
        *,
        version: str = RELEASES[-1],
        reported_version: str | None = None,
        socket_path: str | os.PathLike[str] | None = None,
        exec_mode: Literal["scripted", "passthrough", "isolated", "auto"] = "scripted",
        unscripted: Literal["succeed", "fail"] = "succeed",
        cassette: str | os.PathLike[str] | None = None,
        in_order: bool = False,
        exec_log_root: str | os.PathLike[str] | None = None,
        virtual_time: bool = False,
        ready_delay: float = 0.0,
        stop_delay: float = 0.0,
        remove_delay: float = 0.0,
        idle_ttl: float = 600.0,
        cleanup_ttl: float = CLEANUP_TTL,
        known_images: Collection[str] | None = None,
        missing_images: Collection[str] = (),
        image_folders: Collection[str] = (),
        images_without_command: Collection[str] = (),
        containers: Mapping[str, ContainerBehavior] | None = None,
        host_paths: Collection[str] = (),
        docker: DockerHost | None = None,
        max_calls: int | None = None,
    ) -> None:
        profile = profile_for(version, reported_version)
        mode = possible_mode(exec_mode)
        if unscripted not in ("succeed", "fail"):
            raise ValueError(f"unscripted must be 'succeed' or 'fail': {shown(unscripted)}")
        if unscripted == "fail" and mode != "scripted":
            raise ValueError(
                "unscripted='fail' requires exec_mode='scripted': in other modes, commands that "
                "match no on_exec() really run"
            )
        if cassette is not None and mode != "scripted":
            raise ValueError("cassette requires exec_mode='scripted': commands do not really run")
        if in_order and cassette is None:
            raise ValueError("in_order requires a cassette")
        recording = None if cassette is None else load(Path(cassette))
        host = declared_host(
            known_images=known_images,
            missing_images=missing_images,
            image_folders=image_folders,
            images_without_command=images_without_command,
            containers=containers,
            paths=host_paths,
            docker=docker,
        )
        checked = None if socket_path is None else checked_path(socket_path)
        self._max_calls = max_calls
        self._recorder = Recorder(max_calls)
        folder = PrivateFolder()
        # Also for a daemon that is never stopped.
        self._remove_folder = weakref.finalize(self, folder.remove)
        self._socket = SocketFile(checked or folder.path / "agboxd.sock")
        self._settings = Settings(
            profile=profile,
            host=host,
            private_folder=folder.path,
            log_root=Path(exec_log_root or folder.path / "exec-logs").absolute(),
            virtual_time=virtual_time,
            ready_delay=ready_delay,
            stop_delay=stop_delay,
            remove_delay=remove_delay,
            idle_ttl=idle_ttl,
            cleanup_ttl=cleanup_ttl,
        )
        background = Background(virtual_time=self._settings.virtual_time)
        self._unscripted: Literal["succeed", "fail"] = "fail" if recording else unscripted
        self._scripts = Scripts()
        self._player: Player | None = None
        files = FilesRunner(folder.sandboxes, background.clock, host.paths, host.image_folders)
        sleep = background.clock.sleep
        if recording is not None:
            self._player = Player(
                recording, str(cassette), keep_durations=virtual_time, in_order=in_order
            )
            replay = CassetteRunner(self._scripts, files, self._player, sleep)
            self._runner = ScriptedRunner(self._scripts, replay, sleep, replay.skip)
        elif mode == "scripted":
            silent = UnscriptedRunner(self._scripts, files, fail=unscripted == "fail")
            self._runner = ScriptedRunner(self._scripts, silent, sleep)
        else:
            real = make_real_runner(
                mode, folder.sandboxes, background.clock, host, self._settings.log_root
            )
            self._runner = ScriptedRunner(self._scripts, real, sleep)
        self._engine = Engine(
            self._settings, self._socket, self._runner, self._recorder, background
        )
        self._blocks = Blocks()
        self._faults = Faults(self._engine, self._blocks, background.clock.sleep)
        self._logs_are_private = exec_log_root is None
        self._last_execs: tuple[ExecRecord, ...] | None = None
        self._stopped = False
        self._changes = threading.RLock()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped" if self._stopped else "not running"
        return (
            f"<{type(self).__name__} socket={shown(self.socket_path, 200)} "
            f"release={shown_id(self.version)} {state}>"
        )

    def __reduce__(self) -> NoReturn:
        refuse_copy(self, "pass its socket_path to where a client needs it")

    @property
    def version(self) -> str:
        """The daemon version that `ping()` returns."""
        return self._settings.profile.version

    @property
    def unscripted(self) -> Literal["succeed", "fail"]:
        """What commands that match no `on_exec()` do; `fail` with a cassette, if it lacks them."""
        return self._unscripted

    @property
    def socket_path(self) -> str:
        """The path of the socket that the daemon listens on once it has started."""
        return str(self._socket.path)

    @property
    def exec_log_root(self) -> Path:
        """The folder of all exec logs, with a folder for each sandbox."""
        return self._settings.log_root

    @property
    def running(self) -> bool:
        """Whether the daemon is running, including a shutdown that waits for event streams."""
        return self._engine.running

    def start(self) -> Self:
        """Start the daemon; when this returns, it listens on the socket.

        After `kill()` or `terminate()` the daemon restarts with everything it had stored.

        Returns:
            The daemon itself.

        Raises:
            OSError: The socket path is in use or cannot be used.
            RuntimeError: The daemon is running or was stopped, this process was forked while a
                fake daemon or an async client was open, or gevent has patched its threads.
        """
        check_can_start("a fake daemon", "python -m agents_sandbox.testing")
        with self._changing():
            if self._stopped:
                raise RuntimeError("the fake daemon was stopped: create a new one")
            if self.running:
                raise RuntimeError("the fake daemon is already running")
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
        """End all calls, streams and process groups and remove the daemon's files.

        The daemon cannot be started again, but `calls`, `execs`, `sandboxes`, `containers` and
        `networks` can still be read. Repeated calls do nothing.

        Raises:
            BaseException: The first error that a function of `on_exec()` raised, or, with
                `unscripted="fail"` or a cassette, an `AssertionError` about the first command
                without a script or a take, or else the error that ended background work. A `with`
                block that an exception leaves does not raise it.
            RuntimeError: `down()`, `paused()` or a fault was called without `with`.
        """
        self._shut_down()
        self._raise_errors()

    def _raise_errors(self) -> None:
        """Raise the first error that was kept, and forget all."""
        with ExitStack() as stack:
            # The first one comes last, and its error is the one that is raised.
            for source in (self._scripts, self._engine, self._blocks):
                stack.callback(source.raise_error)

    def _shut_down(self) -> None:
        with self._changing():
            self._stopped = True
            self._engine.stop()
            self._keep_execs()  # their logs may be in the folder
            self._remove_folder()
            atexit.unregister(self._shut_down)

    def reset(self) -> None:
        """Forget everything between two tests that share the daemon, which runs on.

        Sandboxes are gone as if they had never been, with their execs, files, processes and event
        streams. So are planned faults, scripts, recorded calls and the daemon's own exec logs. A
        daemon that was killed or terminated starts again. Faults whose `with` block is open stay,
        and a virtual clock is not set back.

        Raises:
            RuntimeError: The daemon was stopped, or never started.
            BaseException: As for `stop()`; the reset is complete then.
        """
        with self._changing():
            if self._stopped:
                raise RuntimeError("the fake daemon was stopped: create a new one")
            if not self._engine.started:
                raise RuntimeError("the fake daemon was not started: call start() first")
            self._engine.reset()
            if self._logs_are_private:
                remove_tree(self.exec_log_root)
            self._engine.call(self._scripts.clear)
            if self._player is not None:
                self._engine.call(self._player.rewind)
        self._raise_errors()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one thread at a time start or end the daemon."""
        # Others could wait in vain: the one that holds the lock waits for the daemon's own
        # thread, and in a forked child it does not exist.
        with self._changes if self._engine.may_be_waited_for else nullcontext():
            yield

    def kill(self, *, stale_socket: bool = True) -> None:
        """Kill the daemon as SIGKILL does: streams break, containers and processes continue.

        Scripts of `on_exec()` end, because the daemon itself runs them.

        Args:
            stale_socket: Whether to leave the socket file behind; it refuses connections.

        Raises:
            RuntimeError: The daemon is not running.
        """
        with self._changing():
            self._require_running()
            self._engine.kill(stale_socket=stale_socket)

    def terminate(self) -> None:
        """Shut the daemon down as SIGTERM does; return immediately.

        The socket file is removed and new calls fail with UNAVAILABLE. Calls in progress and
        background work continue. The daemon ends once all calls are answered and its clients
        have closed their event streams, or after 60 s on its own clock; see
        `wait_until_ended()`.

        Raises:
            RuntimeError: The daemon is not running.
        """
        with self._changing():
            self._require_running()
            self._engine.terminate()

    def wait_until_ended(self, *, timeout: float = 10.0) -> None:
        """Block the calling thread until the daemon has ended after `terminate()`.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: Calls are still in progress, or event streams are open.
            RuntimeError: The daemon is running and `terminate()` was not called.
        """
        self._engine.wait_until_ended(timeout)

    def down(self, *, stale_socket: bool = True) -> AbstractContextManager[None]:
        """Kill the daemon and restart it when the `with` block ends.

        Args:
            stale_socket: As for `kill()`.

        Raises:
            RuntimeError: The daemon is not running.
        """
        return self._blocks.add(self._down(stale_socket=stale_socket))

    @contextmanager
    def _down(self, *, stale_socket: bool) -> Iterator[None]:
        self.kill(stale_socket=stale_socket)
        try:
            yield
        finally:
            if not self._stopped:
                self.start()

    def _require_running(self) -> None:
        if not self.running:
            raise RuntimeError("the fake daemon is not running: call start() first")

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
        _require_asyncio()
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
        """The faults to inject."""
        return self._faults

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """The calls so far in order of arrival, including refused calls."""
        return self._recorder.calls

    @property
    def execs(self) -> tuple[ExecRecord, ...]:
        """The execs so far, oldest first, each with what it has written; no hooks.

        The commands by which the client itself works on files and kills execs are in `calls` only.
        Those of purged sandboxes are missing; see also `max_calls`.
        """
        if self._last_execs is not None:
            return self._last_execs
        return tuple(snapshot.record() for snapshot in self._engine.execs())

    def _keep_execs(self) -> None:
        if self._last_execs is None:
            snapshots = self._engine.execs()
            kept = len(snapshots) if self._max_calls is None else self._max_calls
            newest = snapshots[max(len(snapshots) - kept, 0) :]
            self._last_execs = tuple(snapshot.record() for snapshot in newest)

    @property
    def sandboxes(self) -> tuple[SandboxRecord, ...]:
        """The sandboxes so far, oldest first, deleted ones included; purged ones are missing."""
        return tuple(snapshot.record() for snapshot in self._engine.sandboxes())

    @property
    def containers(self) -> tuple[ContainerRecord, ...]:
        """The containers that Docker has now, those of one sandbox after the other.

        Also those that the daemon has lost track of. Removed ones are missing, and so are those
        of creates that failed. After `stop()`, they are those that the daemon left.
        """
        profile = self._settings.profile
        return tuple(snapshot.record(profile) for snapshot in self._engine.containers())

    @property
    def networks(self) -> tuple[NetworkRecord, ...]:
        """The networks that Docker has now, oldest first; see `containers`."""
        return tuple(self._engine.networks())

    @property
    def open_streams(self) -> int:
        """The number of event streams that are open now."""
        return self._recorder.open_streams

    def wait_for_call(self, method: str, *, count: int = 1, timeout: float = 10.0) -> None:
        """Block the calling thread until an RPC has been called `count` times in total.

        Args:
            method: The RPC's name, such as `CreateSandbox`.
            count: How many calls, counted from the daemon's creation or its last reset.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: Fewer calls arrived in time.
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
            TimeoutError: The number did not become `count` in time.
        """
        self._recorder.wait_until(
            lambda: self._recorder.open_streams == count,
            timeout,
            lambda: f"{self._recorder.open_streams} event streams are open, not {count}",
        )

    def on_exec(
        self,
        match: ExecMatch | None = None,
        *,
        prefix: Sequence[str] | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        sandbox_id: str | None = None,
    ) -> ExecScript:
        """Script commands; if several scripts match, the last one registered applies.

        Existing execs are not affected. For commands that no script matches see `exec_mode` and
        `unscripted`. Hooks are matched, too, as `("sh", "-lc", <hook>)`. A command must match
        all arguments that are given; at least one is required.

        Args:
            match: The exact argv, or a function that takes the argv and returns whether it
                matches. If the function raises, it counts as no match, and `stop()` raises
                the error again.
            prefix: The first words of the argv; not with an exact argv.
            cwd: The working directory, absolute; that of a command that sets none is
                `/workspace`.
            env: Environment variables and their values; a command may have others, too. Those of
                its sandbox count, overridden by its own.
            sandbox_id: The sandbox.

        Returns:
            The script, which its methods fill in.

        Raises:
            TypeError: An argument has the wrong type, such as a string for an argv, or all are
                missing.
            ValueError: The argv or prefix is empty, both are given, or `cwd` is relative.
        """
        return self._scripts.on_exec(
            match,
            place_of_caller(),
            prefix=prefix,
            cwd=cwd,
            env=env,
            sandbox_id=sandbox_id,
        )

    def paused(self) -> AbstractContextManager[Pause]:
        """Freeze all background progress until the `with` block ends.

        This freezes the progress of creates, resumes, stops and deletes, and the start and
        the end of execs. Answers to RPCs, and the changes that an RPC makes immediately, are
        not affected.
        """
        return self._blocks.add(self._paused())

    @contextmanager
    def _paused(self) -> Iterator[Pause]:
        self._engine.hold()
        try:
            yield Pause(self._engine.step)
        finally:
            self._engine.release()

    def advance(self, seconds: float, *, timeout: float = 60.0) -> None:
        """Move the virtual clock; when this returns, everything that was due has happened.

        Commands that really run get as much real time before that, but at most 2 s each.

        Args:
            seconds: Seconds that pass for the daemon.
            timeout: Seconds of real time to wait at most.

        Raises:
            RuntimeError: The daemon is not running or was created without `virtual_time=True`.
            ValueError: `seconds` is negative, infinite or NaN.
            TimeoutError: It took longer than `timeout`.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be finite and not negative: {shown(seconds)}")
        self._engine.advance(seconds, timeout)

    def assert_all_used(self) -> None:
        """Check that all planned faults, scripts and recorded takes were used.

        That is: every `faults.fail_next()`, `faults.answer_next()` and `on_exec()` that is
        not `optional`, and every command of the cassette. A take that a failed command was
        compared with is not named again.

        Raises:
            AssertionError: Some were never used; the message names the lines that planned
                them.
        """
        played = () if self._player is None else (self._player,)
        sources = self._engine.faults.planned, self._scripts, *played
        self._engine.call(lambda: assert_all_used(*sources))

    def assert_all_scripted(self) -> None:
        """Check that each command so far matched an `on_exec()`, was replayed or really ran.

        Raises:
            AssertionError: Some did not; the message names them and the scripts or the recorded
                command that came close. It names at most 100 different ones.
        """
        self._engine.call(self._scripts.assert_all_scripted)

    def assert_no_leaks(
        self,
        *,
        streams: bool = True,
        sandboxes: bool = False,
        execs: bool = False,
        processes: bool = True,
        timeout: float = 10.0,
    ) -> None:
        """Check that nothing is left behind; call it before `stop()`.

        Args:
            streams: Check for open event streams.
            sandboxes: Check for sandboxes that are not DELETED.
            execs: Check for running execs.
            processes: Check for process groups that commands left running.
            timeout: Seconds to wait at most until streams that clients cancelled have ended.

        Raises:
            AssertionError: Something is left behind; the message lists it.
            RuntimeError: The daemon was stopped, which removed everything.
        """
        if self._stopped:
            raise RuntimeError("the fake daemon was stopped: call assert_no_leaks() before stop()")
        leaks = leaked_streams(self._recorder.remaining_streams(timeout)) if streams else []
        leaks += self._engine.leaks(sandboxes=sandboxes, execs=execs, processes=processes)
        if leaks:
            raise AssertionError("\n  ".join(["left behind:", *leaks]))

    def emit(self, sandbox_id: str, event: WireMessage) -> None:
        """Append any event to a sandbox's event stream; its state does not change.

        Args:
            sandbox_id: The sandbox.
            event: The event. Sequence, ids and time are filled in if they are unset.

        Raises:
            LookupError: There is no such sandbox.
        """
        self._engine.emit(sandbox_id, pb.SandboxEvent.FromString(wire_bytes(event)))

    def kill_container(self, sandbox_id: str, name: str = PRIMARY, *, oom: bool = False) -> None:
        """Kill a container without the daemon's knowledge; Docker does not restart it.

        Args:
            sandbox_id: The sandbox.
            name: The name of a service or companion; by default the primary container.
            oom: Whether the container ran out of memory.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: The sandbox has no such container, or the container is not running.
        """
        self._engine.kill_container(sandbox_id, name, oom=oom)

    def remove_container(self, sandbox_id: str, name: str = PRIMARY) -> None:
        """Remove a container, running or not, without the daemon's knowledge.

        Older daemons notice the death of a running one immediately. Since 0.4.0 they look every
        15 s; until then, execs fail with Docker's error.

        Args:
            sandbox_id: The sandbox.
            name: The name of a service or companion; by default the primary container.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: The sandbox has no such container.
        """
        self._engine.remove_container(sandbox_id, name)

    def purge(self, sandbox_id: str) -> None:
        """Drop the record of a deleted sandbox, as at the end of its retention.

        Its ids cannot be used again. Its event streams end with NOT_FOUND, as for an unknown
        sandbox; from daemon 0.4.3 on they end cleanly.

        Args:
            sandbox_id: The sandbox.

        Raises:
            LookupError: There is no such sandbox.
            ValueError: The sandbox is not DELETED.
        """
        self._engine.purge(sandbox_id)


def _require_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "`async with FakeDaemon()` requires asyncio, and no event loop of asyncio is running "
            "here: use `with FakeDaemon()`"
        ) from None
