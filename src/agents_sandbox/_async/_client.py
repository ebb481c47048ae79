"""The public client: each method makes a call of the daemon, and may wait for what it began."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from .. import _copies
from .._aio import public
from .._arguments import checks
from .._arguments.creates import NewExec, NewSandbox
from .._arguments.durations import DurationLike, check_range, to_seconds, to_timedelta
from .._arguments.ids import ExecIdLike, SandboxIdLike, exec_id_of, sandbox_id_of
from .._arguments.specs import CompanionContainerSpec, CopySpec, MountSpec, PortMapping, ServiceSpec
from .._connection.address import DaemonAddress
from .._connection.rpc import concerning
from .._deadline import CLEANUP_SECONDS, Budget, Deadline
from .._enums import SandboxState
from .._goals import BECOME_READY, BecomeDeleted, reach
from .._notes import noting_remains
from .._output.result import MAX_OUTPUT_BYTES, ExecResult
from .._sequence import EventSequence
from .._tracebacks import ends_at_caller
from .._wire.releases import chosen_release
from ..errors import InvalidArgumentError, OperationTimeoutError, SandboxClientError
from ..models import DeleteSandboxesResult, ExecHandle, PingInfo, SandboxHandle
from ._daemon import Daemon
from ._events import AsyncSandboxEventStream
from ._execs.results import result_of
from ._feeds import Feeds
from ._subscription import Subscription
from ._waits import DeleteWait, DeletionWatch, ExecWait, SandboxWait, StopWait, create_sandbox

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .._arguments.creates import SandboxArguments
    from ._execs.process import ExecProcess
    from ._sandboxes.lifetime import SandboxLifetime
    from ._sandboxes.pool import SandboxPool
    from ._sandboxes.sandbox import Sandbox
    from ._sandboxes.scope import SandboxScope


class AgentsSandboxClient:
    """A client of one agents-sandbox daemon.

    Constructing one does no I/O; the first call opens the connection. Close it
    or use it as a context manager. A timeout is a number of seconds, a `timedelta`
    or a Go duration string such as `"1m30s"`.

    Args:
        socket_path: The daemon's Unix socket: a path, which may begin with `~`
            or `$NAME`, or `unix:///path`. None: the platform's default,
            `$XDG_RUNTIME_DIR/agbox/agboxd.sock`; on macOS also below
            `~/Library/Application Support/agbox`.
        timeout_seconds: How long one RPC may take, in seconds.
        operation_timeout_seconds: How long a slow operation may take with its
            wait, and how long an event stream or a wait without a bound keeps
            reconnecting during one outage, in seconds; `math.inf` for no bound.
        exec_timeout_seconds: How long `run`, `create_exec` with its wait and
            `wait_for_exec` may take, in seconds; None: no bound, since only
            the caller knows how long a command takes.
        stream_timeout_seconds: How long an event stream may last unless it has
            a timeout of its own, in seconds; None: no bound.
        daemon_version: The daemon's release, e.g. `"0.4.3"`, which determines
            its protocol. None: the client asks the daemon, which is safer.

    Raises:
        InvalidArgumentError: An argument is not acceptable.
        UnsupportedDaemonError: The release `daemon_version` is not supported.
    """

    @ends_at_caller
    def __init__(
        self,
        socket_path: str | os.PathLike[str] | None = None,
        *,
        timeout_seconds: DurationLike = 5.0,
        operation_timeout_seconds: DurationLike = 60.0,
        exec_timeout_seconds: DurationLike | None = None,
        stream_timeout_seconds: DurationLike | None = None,
        daemon_version: str | None = None,
    ) -> None:
        self._address = DaemonAddress(socket_path)
        self._timeout = to_seconds("timeout_seconds", timeout_seconds)
        self._operation_timeout = to_seconds("operation_timeout_seconds", operation_timeout_seconds)
        self._exec_timeout = _optional("exec_timeout_seconds", exec_timeout_seconds)
        self._stream_timeout = _optional("stream_timeout_seconds", stream_timeout_seconds)
        release = None if daemon_version is None else chosen_release(daemon_version)
        self._daemon = Daemon(self._address, release)
        self._feeds = Feeds(self._daemon, self._timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._daemon.describe()}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        advice = "create a new one with the same socket_path"
        _copies.refuse_copy(self, advice)

    # For those who know the other flavour. Type checkers see the mistake without it.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name.removeprefix("a") == "close":
                own = type(self).aclose
                message += f": it is closed with {own.__name__}()"
            raise AttributeError(message, name=name, obj=self)

    @property
    @ends_at_caller
    def socket_path(self) -> str:
        """The path of the daemon's socket.

        Raises:
            DaemonUnavailableError: No default can be derived from the environment.
        """
        return self._address.resolve()[0]

    async def aclose(self) -> None:
        """Close the client. Calls, waits and streams in progress end with `ClientClosedError`.

        Safe to repeat.
        """
        await self._daemon.aclose()

    @public
    async def ping(self, *, timeout_seconds: DurationLike | None = None) -> PingInfo:
        """Ask the daemon for its version and name.

        Args:
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            Its version and name.

        Raises:
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        return await self._daemon.ping(self._query(timeout_seconds))

    @public
    async def create_sandbox(
        self,
        *,
        image: str | None = None,
        sandbox_id: str | None = None,
        config_yaml: str | bytes | None = None,
        mounts: Iterable[MountSpec] = (),
        copies: Iterable[CopySpec] = (),
        builtin_tools: Iterable[str] = (),
        required_services: Iterable[ServiceSpec] = (),
        optional_services: Iterable[ServiceSpec] = (),
        companion_containers: Iterable[CompanionContainerSpec] = (),
        labels: Mapping[str, str] | None = None,
        envs: Mapping[str, str] | None = None,
        idle_ttl: DurationLike | None = None,
        ports: Iterable[PortMapping] = (),
        command: Sequence[str] | None = None,
        cpu_limit: str | None = None,
        memory_limit: str | None = None,
        disk_limit: str | None = None,
        gpus: str | None = None,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> SandboxHandle:
        """Create a sandbox.

        Args:
            image: The primary container's image. Pass it on every call; only a
                `config_yaml` that names one can replace it.
            sandbox_id: An id that was never used before: 4 to 200 ASCII
                letters, digits, `-` and `_`, beginning and ending with a
                letter or digit. None: a new UUID.
            config_yaml: Declarative configuration; the other arguments
                override it.
            mounts: Host paths that appear in the sandbox.
            copies: Host paths copied into it.
            builtin_tools: Names of the daemon's built-in tools to provide.
            required_services: Services that must be healthy before READY.
                Daemons since 0.3.0 cannot wait for health; there, `wait`
                waits until each of them has started.
            optional_services: Services that READY does not wait for.
            companion_containers: Containers beside the primary one that READY
                does not wait for. Since daemon 0.3.0.
            labels: Labels to find the sandbox by.
            envs: Environment variables of the primary container.
            idle_ttl: The daemon stops the sandbox after this time without a
                running exec; 0: never, None: the daemon's own setting.
            ports: Ports to publish on the host. Since daemon 0.4.0.
            command: The primary container's command, not empty; None: that of
                `config_yaml`, or else it only waits for execs. Since daemon
                0.4.0.
            cpu_limit: CPUs of the primary container, e.g. `"0.5"`. Since
                daemon 0.4.1.
            memory_limit: Its memory, e.g. `"512m"`. Since daemon 0.4.1.
            disk_limit: Its disk space, e.g. `"10g"`. Since daemon 0.4.1.
            gpus: `"all"` for all GPUs of the host. Since daemon 0.4.3.
            wait: Whether to wait until the sandbox is READY.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The READY sandbox; with `wait=False` a snapshot taken after the
            daemon accepted the request, which may still be PENDING.

        Raises:
            InvalidArgumentError: The SDK or the daemon refuses an argument.
            UnsupportedByDaemonError: The daemon is too old for an argument.
            UnsupportedDaemonError: The daemon's release is not supported.
            SandboxConflictError: The id was used before.
            SandboxFailedError: The sandbox or a required service failed; carries the daemon's
                `error_code` and `error_message`.
            SandboxNotReadyError: It was deleted or stopped during the wait.
            OperationTimeoutError: It was not READY in time; the daemon continues.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        new = NewSandbox(
            image=image,
            sandbox_id=sandbox_id,
            config_yaml=config_yaml,
            mounts=mounts,
            copies=copies,
            builtin_tools=builtin_tools,
            required_services=required_services,
            optional_services=optional_services,
            companion_containers=companion_containers,
            labels=labels,
            envs=envs,
            idle_ttl=idle_ttl,
            ports=ports,
            command=command,
            cpu_limit=cpu_limit,
            memory_limit=memory_limit,
            disk_limit=disk_limit,
            gpus=gpus,
        )
        budget = self._budget(timeout_seconds)
        with noting_remains() as remains:
            return await create_sandbox(self._daemon, self._feeds, new, budget, remains, wait=wait)

    @public
    async def get_sandbox(
        self, sandbox_id: SandboxIdLike, *, timeout_seconds: DurationLike | None = None
    ) -> SandboxHandle:
        """Read a sandbox. A deleted one can be read until the daemon purges it.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            The latest authoritative snapshot.

        Raises:
            SandboxNotFoundError: It does not exist.
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        return await self._daemon.get_sandbox(
            sandbox_id_of(sandbox_id), self._query(timeout_seconds)
        )

    @public
    async def list_sandboxes(
        self,
        *,
        include_deleted: bool = False,
        label_selector: Mapping[str, str] | None = None,
        timeout_seconds: DurationLike | None = None,
    ) -> list[SandboxHandle]:
        """List sandboxes, newest first; daemon 0.2.0 lists them by id.

        Args:
            include_deleted: Whether to include deleted ones that are not purged.
            label_selector: Labels that must all match exactly; None or empty
                for all sandboxes.
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            The latest authoritative snapshots.

        Raises:
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        deadline = self._query(timeout_seconds)
        return await self._daemon.list_sandboxes(include_deleted, label_selector, deadline)

    @public
    async def resume_sandbox(
        self,
        sandbox_id: SandboxIdLike,
        *,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> SandboxHandle:
        """Start a STOPPED sandbox again. Its files are unchanged.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            wait: Whether to wait until it is READY.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The READY sandbox; with `wait=False` a snapshot taken after the
            daemon accepted the request.

        Raises:
            SandboxNotFoundError: It does not exist.
            SandboxInvalidStateError: It is not STOPPED.
            SandboxFailedError: It failed to start.
            SandboxNotReadyError: It was deleted or stopped during the wait.
            OperationTimeoutError: It was not READY in time; the daemon continues.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        sandbox_id = sandbox_id_of(sandbox_id)
        budget = self._budget(timeout_seconds)
        await self._daemon.resume_sandbox(sandbox_id, budget.rpc())
        if not wait:
            return await self._daemon.get_sandbox(sandbox_id, budget.rpc())
        wait_for = SandboxWait(self._daemon, self._feeds, BECOME_READY, sandbox_id, budget)
        return await wait_for.until_reached()

    @public
    async def wait_for_sandbox(
        self,
        sandbox_id: SandboxIdLike,
        state: SandboxState = SandboxState.READY,
        *,
        timeout_seconds: DurationLike | None = None,
    ) -> SandboxHandle:
        """Wait until a sandbox is in a state, whoever brings it there.

        It goes on where another wait has timed out, and waits for what `wait=False` began. If the
        sandbox is in that state already, it returns at once.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            state: READY, STOPPED, FAILED or DELETED. DELETED means for good, as in
                `delete_sandbox`; a sandbox that is purged during the wait counts as DELETED.
            timeout_seconds: Timeout of this call, in seconds; None: the client's
                `operation_timeout_seconds`.

        Returns:
            The sandbox in that state.

        Raises:
            InvalidArgumentError: No call can wait for that state.
            SandboxNotFoundError: It does not exist, or was purged before.
            SandboxFailedError: It failed, and can only be deleted.
            SandboxNotReadyError: It is STOPPED or deleted, and will not become READY by itself.
            SandboxInvalidStateError: It is deleted, and will not become STOPPED or FAILED.
            OperationTimeoutError: It was not in that state in time.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        sandbox_id = sandbox_id_of(sandbox_id)
        goal = reach(state)
        budget = self._budget(timeout_seconds)
        if isinstance(goal, BecomeDeleted):
            return await DeletionWatch(self._daemon, self._feeds, sandbox_id, budget).watch()
        wait_for = SandboxWait(self._daemon, self._feeds, goal, sandbox_id, budget)
        return await wait_for.until_reached()

    @public
    async def stop_sandbox(
        self,
        sandbox_id: SandboxIdLike,
        *,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> SandboxHandle:
        """Stop a READY sandbox. Its files remain; its running execs fail.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            wait: Whether to wait until it is STOPPED, usually about 5 s.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The STOPPED sandbox; with `wait=False` a snapshot taken after the
            daemon accepted the request, which is still READY.

        Raises:
            SandboxNotFoundError: It does not exist.
            SandboxInvalidStateError: It is not READY, or was deleted or resumed
                during the wait.
            SandboxFailedError: The stop failed.
            OperationTimeoutError: It was not STOPPED in time; the daemon continues.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        sandbox_id = sandbox_id_of(sandbox_id)
        budget = self._budget(timeout_seconds)
        if wait:
            return await StopWait(self._daemon, self._feeds, sandbox_id, budget).stop()
        await self._daemon.stop_sandbox(sandbox_id, budget.rpc())
        return await self._daemon.get_sandbox(sandbox_id, budget.rpc())

    @public
    async def delete_sandbox(
        self,
        sandbox_id: SandboxIdLike,
        *,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> SandboxHandle:
        """Delete a sandbox in any state. The call is idempotent.

        A delete does not stop a create that is in progress: the sandbox can reappear. With `wait`
        it is then deleted again.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            wait: Whether to wait until it is DELETED for good.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The DELETED sandbox; with `wait=False` a snapshot taken after the
            daemon accepted the request.

        Raises:
            SandboxNotFoundError: It does not exist, or was purged before.
            SandboxFailedError: It could not be removed.
            OperationTimeoutError: It was not DELETED for good in time; the
                daemon continues.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        sandbox_id = sandbox_id_of(sandbox_id)
        budget = self._budget(timeout_seconds)
        if wait:
            return await DeleteWait(self._daemon, self._feeds, sandbox_id, budget).delete()
        await self._daemon.delete_sandbox(sandbox_id, budget.rpc())
        return await self._daemon.get_sandbox(sandbox_id, budget.rpc())

    @public
    async def delete_sandboxes(
        self,
        label_selector: Mapping[str, str],
        *,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> DeleteSandboxesResult:
        """Delete all sandboxes with the given labels.

        Args:
            label_selector: Labels that must all match exactly; not empty.
            wait: Whether to wait until each of them is DELETED for good, as
                `delete_sandbox` does.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The ids of the sandboxes that this call started to delete.

        Raises:
            InvalidArgumentError: The selector is empty.
            SandboxFailedError: One could not be removed; raised after the wait
                for the others.
            OperationTimeoutError: Not all were DELETED in time; the daemon
                continues.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        budget = self._budget(timeout_seconds)
        selector = checks.label_selector(label_selector)  # before the list, which takes any
        before = await self._before_delete(selector, budget) if wait else {}
        socket_at_request = self._daemon.socket_identity()
        result = await self._daemon.delete_sandboxes(selector, budget.rpc())
        # Waiting for one after the other takes no longer than the slowest delete, because the
        # daemon deletes them in parallel.
        failures: list[SandboxClientError] = []
        for sandbox_id in result.deleted_sandbox_ids if wait else ():
            try:
                wait_for = DeleteWait(self._daemon, self._feeds, sandbox_id, budget)
                await wait_for.follow_delete(before.get(sandbox_id), socket_at_request)
            except SandboxClientError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return result

    @public
    async def delete_leftovers(
        self,
        label_selector: Mapping[str, str],
        *,
        older_than: DurationLike,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> DeleteSandboxesResult:
        """Delete the sandboxes with the given labels that are older than a time.

        For what a killed program has left behind. The time keeps it from deleting those that
        other programs with the same labels are using now.

        Args:
            label_selector: Labels that must all match exactly; not empty.
            older_than: Delete only those that were created longer ago. The
                daemon's `created_at` is compared with the clock of this host;
                one without `created_at` is not deleted.
            wait: Whether to wait until each of them is DELETED for good, as
                `delete_sandbox` does.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The ids of the sandboxes that this call started to delete.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
            SandboxFailedError: One could not be removed; raised after the wait
                for the others.
            OperationTimeoutError: Not all were DELETED in time; the daemon
                continues.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        from ._sandboxes.leftovers import delete_leftovers

        checks.boolean("wait", wait)
        selector = checks.label_selector(label_selector)
        age = to_timedelta("older_than", older_than)
        check_range("older_than", age)
        budget = self._budget(timeout_seconds)
        return await delete_leftovers(self._daemon, self._feeds, selector, age, budget, wait=wait)

    async def _before_delete(
        self, label_selector: Mapping[str, str], budget: Budget
    ) -> dict[str, SandboxHandle]:
        listed = await self._daemon.list_sandboxes(False, label_selector, budget.rpc())
        return {handle.sandbox_id: handle for handle in listed}

    @overload
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: Literal[False] = False,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle: ...

    @overload
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: Literal[True],
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult: ...

    @overload
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: bool,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle: ...

    @public
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: bool = False,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle:
        """Start a command in a READY sandbox.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            command: The command as an argv; no shell is involved.
            exec_id: Like `sandbox_id` in `create_sandbox`, and unique over all
                sandboxes. None: a new UUID.
            cwd: Absolute working directory in the sandbox; empty or None:
                `/workspace`.
            env_overrides: Environment variables that override the sandbox's.
            wait: Whether to wait until the command ends.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `exec_timeout_seconds`, by default no bound.
                The timeout does not end the command.

        Returns:
            An `ExecResult` with the output; with `wait=False` a snapshot taken
            after the daemon accepted the request, which may still be RUNNING. A
            command that fails raises no error: check `state` and `exit_code`.

        Raises:
            InvalidArgumentError: The SDK or the daemon refuses an argument.
            SandboxNotFoundError: The sandbox does not exist.
            SandboxNotReadyError: It is not READY, or it was stopped or deleted
                during the wait and the daemon never reported the exec's end.
            SandboxFailedError: The same, after the sandbox failed.
            ExecConflictError: The exec id was used before.
            OperationTimeoutError: The command did not end in time; it continues.
            DaemonUnavailableError: No daemon answers at the socket; without a
                bound, for `operation_timeout_seconds`.
        """
        checks.boolean("wait", wait)
        new = NewExec(sandbox_id, command, exec_id=exec_id, cwd=cwd, env_overrides=env_overrides)
        if wait:
            return await self._run(new, self._exec_budget(timeout_seconds), MAX_OUTPUT_BYTES)
        budget = self._budget(timeout_seconds)
        with noting_remains() as remains:
            created, logs = await self._daemon.create_exec(new, budget.rpc(), remains)
            remains.note = _started(created)
            with concerning(new.sandbox_id, created):
                return await self._daemon.get_exec(created, budget.rpc(), logs)

    async def _run(
        self,
        new: NewExec,
        budget: Budget,
        max_output_bytes: int,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
    ) -> ExecResult:
        if on_stdout is not None or on_stderr is not None:
            from ._execs.callbacks import run_with_callbacks
            from ._execs.execution import Execution

            execution = Execution(self._daemon, self._feeds, new, lambda: budget)
            return await run_with_callbacks(execution, on_stdout, on_stderr, max_output_bytes)
        with noting_remains() as remains:
            created, logs = await self._daemon.create_exec(new, budget.rpc(), remains)
            remains.note = _started(created)
            with concerning(new.sandbox_id, created):
                wait_for = ExecWait(
                    self._daemon, self._feeds, created, budget, new.sandbox_id, logs
                )
                ended = await wait_for.until_reached()
                return await result_of(self._daemon, ended, max_output_bytes)

    @public
    async def run(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        input: str | bytes | None = None,  # noqa: A002 - as in `subprocess.run`
        check: bool = False,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        kill_on_timeout: bool = False,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult:
        """Run a command in a READY sandbox and wait until it ends.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            command: The command as an argv; no shell is involved.
            exec_id: As in `create_exec`.
            cwd: As in `create_exec`.
            env_overrides: As in `create_exec`.
            input: What the command reads from its standard input, up to 8 MiB; text is encoded as
                UTF-8. None: its standard input is not connected.
            check: Whether a command that does not exit with 0 raises an error.
            max_output_bytes: How much of each stream to keep: the end of it, 16 MiB by default.
            on_stdout: Called with the text of the standard output as it is written, piece by piece.
                If it raises, the call ends with that error; the command continues.
            on_stderr: The same for the standard error. There is no order between the two.
            kill_on_timeout: Whether the timeout kills the command, as
                `cancel_exec` does with `kill`. Then the call may take up to
                15 s longer, and the error's `last_handle` is the result: FAILED
                with exit code 137, and with the output so far. An interruption
                of the call does not kill.
            timeout_seconds: Timeout of this call, in seconds; None: the client's
                `exec_timeout_seconds`, by default no bound. Unless `kill_on_timeout`
                is set, the timeout does not end the command: `wait_for_exec` goes
                on waiting.

        Returns:
            The ended exec, with its `exit_code` and its output.

        Raises:
            ExecFailedError: With `check`, the command did not exit with 0; has the result.
            SandboxFileError: The image lacks what `input` needs: `sh`, `base64`, `rm`, `/tmp`.
            OutputUnavailableError: There is a function to call, and the output cannot be read from
                here.
            SandboxClientError: As in `create_exec`.
        """
        checks.boolean("check", check)
        checks.boolean("kill_on_timeout", kill_on_timeout)
        limit = checks.integer("max_output_bytes", max_output_bytes, maximum=sys.maxsize)
        new = NewExec(sandbox_id, command, exec_id=exec_id, cwd=cwd, env_overrides=env_overrides)
        checks.optional_function("on_stdout", on_stdout)
        checks.optional_function("on_stderr", on_stderr)
        data = None if input is None else checks.data("input", input)
        budget = self._exec_budget(timeout_seconds)
        run = partial(
            self._run,
            budget=budget,
            max_output_bytes=limit,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
        )
        try:
            if data is None:
                result = await run(new)
            else:
                from ._sandboxes.file_commands import Input

                result = await Input(self, new, data).used_by(run, budget.operation)
        except OperationTimeoutError as timeout:
            if not kill_on_timeout:
                raise
            from ._execs.kill import kill_after

            created = timeout.exec_id or new.exec_id
            late = await kill_after(self._daemon, self._feeds, created, timeout, limit)
            raise late from late.__cause__
        return result.check() if check else result

    @ends_at_caller
    def start_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        keep: bool = False,
        cleanup_timeout_seconds: DurationLike = 10.0,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecProcess:
        """Return an object that starts a command in a READY sandbox, and follows its output.

        No I/O: it starts as a context manager, or with its `begin()`. The exit of the block ends
        the command if it still runs, also if the block was interrupted while it started. Only an
        exec with an id of your own is left then, with a note: it may be another one.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            command: The command as an argv; no shell is involved.
            exec_id: As in `create_exec`.
            cwd: As in `create_exec`.
            env_overrides: As in `create_exec`.
            keep: Whether the exit of a block leaves the command running.
            cleanup_timeout_seconds: How long the exit of a block may take to end the command, in
                seconds.
            timeout_seconds: How long the command may take from its start, in seconds: after that,
                `output()` and `wait()` raise `OperationTimeoutError`; None: the client's
                `exec_timeout_seconds`, by default no limit.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        from ._execs.execution import Execution
        from ._execs.process import ExecProcess

        checks.boolean("keep", keep)
        new = NewExec(sandbox_id, command, exec_id=exec_id, cwd=cwd, env_overrides=env_overrides)
        seconds = self._explicit(timeout_seconds)
        execution = Execution(self._daemon, self._feeds, new, lambda: self._exec_budget(seconds))
        return ExecProcess(
            self,
            execution,
            keep=keep,
            cleanup_seconds=to_seconds("cleanup_timeout_seconds", cleanup_timeout_seconds),
        )

    @public
    async def wait_for_exec(
        self,
        exec_id: ExecIdLike,
        *,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult:
        """Wait until an exec ends, whoever started it.

        It goes on where another wait has timed out, and waits for what `create_exec` began. If the
        exec has ended already, it returns at once.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            max_output_bytes: How much of each stream to keep: the end of it, 16 MiB by default.
            timeout_seconds: Timeout of this call, in seconds; None: the client's
                `exec_timeout_seconds`, by default no bound.

        Returns:
            The ended exec, with its `exit_code` and its output.

        Raises:
            ExecNotFoundError: It does not exist.
            SandboxNotReadyError: Its sandbox was stopped or deleted during the wait, and the
                daemon never reported the exec's end.
            SandboxFailedError: The same, after the sandbox failed.
            OperationTimeoutError: It did not end in time; it continues.
            DaemonUnavailableError: No daemon answers at the socket; without a bound, for
                `operation_timeout_seconds`.
        """
        exec_id = exec_id_of(exec_id)
        limit = checks.integer("max_output_bytes", max_output_bytes, maximum=sys.maxsize)
        with concerning(exec_id=exec_id):
            wait_for = ExecWait(
                self._daemon, self._feeds, exec_id, self._exec_budget(timeout_seconds)
            )
            return await result_of(self._daemon, await wait_for.until_reached(), limit)

    @public
    async def cancel_exec(
        self,
        exec_id: ExecIdLike,
        *,
        kill: bool = False,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle:
        """Cancel a running exec. The daemon does not kill its process, unless `kill` asks for it.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            kill: Whether to kill the command and its children instead, with
                SIGKILL: the exec ends FAILED with exit code 137. A second exec
                does it, for 10 s at most. If that is not possible, nothing else
                is done. What was cancelled before cannot be killed.
            wait: Whether to wait until it is in a terminal state.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The exec after the cancel.

        Raises:
            ExecNotFoundError: It does not exist.
            ExecAlreadyTerminalError: It has already ended; a subclass of
                `ExecNotRunningError`.
            ExecNotKilledError: It could not be killed; `problem` says why.
            OperationTimeoutError: It did not end in time.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        checks.boolean("kill", kill)
        exec_id = exec_id_of(exec_id)
        budget = self._budget(timeout_seconds)
        with concerning(exec_id=exec_id):
            if kill:
                from ._execs.kill import Killer

                await Killer(self._daemon, self._feeds, exec_id, budget).kill()
            else:
                await self._daemon.cancel_exec(exec_id, budget.rpc())
            if not wait:
                return await self._daemon.get_exec(exec_id, budget.rpc())
            return await ExecWait(self._daemon, self._feeds, exec_id, budget).until_reached()

    @public
    async def get_exec(
        self, exec_id: ExecIdLike, *, timeout_seconds: DurationLike | None = None
    ) -> ExecHandle:
        """Read an exec. It can be read until its sandbox is purged.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            The latest authoritative snapshot.

        Raises:
            ExecNotFoundError: It does not exist.
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        return await self._daemon.get_exec(exec_id_of(exec_id), self._query(timeout_seconds))

    @public
    async def list_active_execs(
        self,
        *,
        sandbox_id: SandboxIdLike | None = None,
        timeout_seconds: DurationLike | None = None,
    ) -> list[ExecHandle]:
        """List running execs, by id.

        Args:
            sandbox_id: List only the execs of this sandbox; an unknown sandbox
                has none. None: list those of all sandboxes.
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            The latest authoritative snapshots.

        Raises:
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        one = None if sandbox_id is None else sandbox_id_of(sandbox_id)
        return await self._daemon.list_active_execs(one, self._query(timeout_seconds))

    @ends_at_caller
    def subscribe_sandbox_events(
        self,
        sandbox_id: SandboxIdLike,
        *,
        from_sequence: int = 0,
        include_current_snapshot: bool = False,
        resume: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> AsyncSandboxEventStream:
        """Follow the events of a sandbox, each once and in order.

        The stream stays open even after the sandbox is DELETED; close it when
        you have seen what you need.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            from_sequence: Deliver the events after this one; 0 for all. A
                handle's `last_event_sequence` continues from that snapshot.
            include_current_snapshot: Whether to deliver the newest event and
                the running execs first, marked as `snapshot`.
            resume: Whether to reconnect, and resume after the last event, when
                the connection is lost or the daemon restarts. During one outage
                the stream keeps reconnecting for `operation_timeout_seconds`.
                While a stream is open and no call has reached the daemon for
                5 s, the client pings it.
            timeout_seconds: How long the stream may last, in seconds; None: the
                client's `stream_timeout_seconds`.

        Returns:
            An iterator of events. Its steps raise:
            `SandboxNotFoundError`: the sandbox does not exist or was purged;
            `SandboxSequenceExpiredError`: `from_sequence` is after the newest
            event, or events are missing; `OperationTimeoutError`:
            `timeout_seconds` have passed; `DaemonUnavailableError`: the daemon
            is unavailable; `ProtocolError`: the daemon sends events of another
            sandbox or out of order, or keeps ending streams without an event.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        resuming = checks.boolean("resume", resume)
        events = Subscription(
            self._daemon,
            EventSequence(sandbox_id_of(sandbox_id), from_sequence, include_current_snapshot),
            Deadline(self._explicit(timeout_seconds) or self._stream_timeout),
            rpc_seconds=self._timeout,
            patience_seconds=self._operation_timeout if resuming else None,
        )
        return AsyncSandboxEventStream(events)

    @ends_at_caller
    def sandbox(
        self,
        *,
        image: str | None = None,
        sandbox_id: str | None = None,
        config_yaml: str | bytes | None = None,
        mounts: Iterable[MountSpec] = (),
        copies: Iterable[CopySpec] = (),
        builtin_tools: Iterable[str] = (),
        required_services: Iterable[ServiceSpec] = (),
        optional_services: Iterable[ServiceSpec] = (),
        companion_containers: Iterable[CompanionContainerSpec] = (),
        labels: Mapping[str, str] | None = None,
        envs: Mapping[str, str] | None = None,
        idle_ttl: DurationLike | None = None,
        ports: Iterable[PortMapping] = (),
        command: Sequence[str] | None = None,
        cpu_limit: str | None = None,
        memory_limit: str | None = None,
        disk_limit: str | None = None,
        gpus: str | None = None,
        workspace: str | os.PathLike[str] | bool = False,
        keep: bool = False,
        timeout_seconds: DurationLike | None = None,
        cleanup_timeout_seconds: DurationLike = CLEANUP_SECONDS,
    ) -> SandboxLifetime:
        """Return a context manager: a READY sandbox, which is deleted at the end of the block.

        It is deleted whatever happens: an error, a timeout, a cancelled task, Ctrl-C, at any
        moment and again and again. Cancellations and Ctrl-C during the clean-up are raised when
        that has ended. The clean-up ends when the daemon has accepted the delete; if the create
        did not finish, when the sandbox is DELETED for good. What the block raises is never
        replaced: if the delete fails, the exception gets a note, and there is a
        `SandboxLeftoverWarning`. If the block raised nothing, the delete's error is raised.

        With a `sandbox_id`, the sandbox also has the label `agents-sandbox.owner` with a unique
        value, so that no sandbox of somebody else is ever deleted.

        Args:
            image: As in `create_sandbox`.
            sandbox_id: As in `create_sandbox`.
            config_yaml: As in `create_sandbox`.
            mounts: As in `create_sandbox`.
            copies: As in `create_sandbox`.
            builtin_tools: As in `create_sandbox`.
            required_services: As in `create_sandbox`.
            optional_services: As in `create_sandbox`.
            companion_containers: As in `create_sandbox`.
            labels: As in `create_sandbox`.
            envs: As in `create_sandbox`.
            idle_ttl: As in `create_sandbox`.
            ports: As in `create_sandbox`.
            command: As in `create_sandbox`.
            cpu_limit: As in `create_sandbox`.
            memory_limit: As in `create_sandbox`.
            disk_limit: As in `create_sandbox`.
            gpus: As in `create_sandbox`.
            workspace: A folder of this host that is the `/workspace` of the sandbox, writable;
                True: a temporary one, which is removed after the sandbox. Then the end of the
                block waits until the sandbox is DELETED. The daemon must run on this host.
            keep: Whether to leave the sandbox at the end of the block, also if the block raises.
                One that does not become READY is deleted all the same.
            timeout_seconds: Timeout of the create with its wait, in seconds; None: the client's
                `operation_timeout_seconds`.
            cleanup_timeout_seconds: How long to try to delete it, in seconds. The default
                outlasts a restart of the daemon.

        Returns:
            A context manager that can be entered once and gives the sandbox. Entering it raises
            the errors of `create_sandbox`.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        new = NewSandbox(
            image=image,
            sandbox_id=sandbox_id,
            config_yaml=config_yaml,
            mounts=mounts,
            copies=copies,
            builtin_tools=builtin_tools,
            required_services=required_services,
            optional_services=optional_services,
            companion_containers=companion_containers,
            labels=labels,
            envs=envs,
            idle_ttl=idle_ttl,
            ports=ports,
            command=command,
            cpu_limit=cpu_limit,
            memory_limit=memory_limit,
            disk_limit=disk_limit,
            gpus=gpus,
        )
        from .._workspace import WORKSPACE, Workspace

        folder = Workspace.of(workspace)
        if folder is not None and any(mount.target == WORKSPACE for mount in new.mounts):
            raise InvalidArgumentError(
                f"workspace and one of mounts both have the target {WORKSPACE}: pass one of them"
            )
        return self._lifetime(
            new,
            timeout_seconds,
            self._time_to_delete(cleanup_timeout_seconds),
            keep=checks.boolean("keep", keep),
            workspace=folder,
        )

    def _lifetime(
        self,
        new: NewSandbox,
        timeout_seconds: DurationLike | None,
        time_to_delete: Callable[[], Budget],
        **more: Any,
    ) -> SandboxLifetime:
        from ._sandboxes.lifetime import SandboxLifetime

        explicit = self._explicit(timeout_seconds)
        return SandboxLifetime(
            self,
            self._daemon,
            self._feeds,
            new,
            time_to_create=lambda: self._budget(explicit),
            time_to_delete=time_to_delete,
            **more,
        )

    @ends_at_caller
    def scope(
        self,
        labels: Mapping[str, str] | None = None,
        *,
        cleanup_timeout_seconds: DurationLike = CLEANUP_SECONDS,
    ) -> SandboxScope:
        """Return a context manager for many sandboxes, which are deleted at the end of the block.

        Make them with its methods `sandbox` and `create_sandbox`, in any number of tasks or
        threads. The end of the block deletes all of them at once, whatever happens, also those
        that are still being created. Calls that wait for one of them elsewhere end then. Errors
        and interruptions are treated as those of `client.sandbox`.

        Args:
            labels: Labels of all its sandboxes. They also have the label `agents-sandbox.scope`,
                with a unique value.
            cleanup_timeout_seconds: How long to try to delete them, in seconds.

        Returns:
            The scope.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        from ._sandboxes.scope import SandboxScope

        return SandboxScope(
            self._lifetime,
            self._daemon,
            checks.optional_mapping("labels", labels),
            self._time_to_delete(cleanup_timeout_seconds),
        )

    @ends_at_caller
    def pool(
        self,
        size: int,
        *,
        timeout_seconds: DurationLike | None = None,
        cleanup_timeout_seconds: DurationLike = CLEANUP_SECONDS,
        **arguments: Unpack[SandboxArguments],
    ) -> SandboxPool:
        """Return a context manager that keeps sandboxes READY before they are needed.

        Its method `take` gives one for a block. A sandbox that was taken is replaced at once and
        deleted at the end of its block. One that is no longer READY is never given. Creates that
        fail are tried again. The end of the pool's block deletes everything, whatever happens,
        also what is still being created.

        Args:
            size: How many to keep READY, beside those that are taken; from 1 to 1000.
            timeout_seconds: Timeout of each create with its wait, in seconds; None: the client's
                `operation_timeout_seconds`.
            cleanup_timeout_seconds: As in `scope`.
            **arguments: As in `create_sandbox`, without `sandbox_id`. Without `config_yaml`,
                `idle_ttl` is 0 by default, because the daemon stops idle sandboxes.

        Returns:
            The pool.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        from ._sandboxes.pool import SandboxPool, repeatable
        from ._sandboxes.stock import Stock

        checks.integer("size", size, minimum=1, maximum=1000)
        scope = self.scope(cleanup_timeout_seconds=cleanup_timeout_seconds)
        again = repeatable(arguments)
        self._explicit(timeout_seconds)
        stock = Stock(size, lambda: scope.sandbox(timeout_seconds=timeout_seconds, **again))
        return SandboxPool(scope, stock, self._operation_timeout)

    @ends_at_caller
    def attach(self, sandbox_id: SandboxIdLike) -> Sandbox:
        """Return an object for a sandbox that exists. No I/O: nothing is checked.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.

        Raises:
            InvalidArgumentError: The id is not acceptable.
        """
        from ._sandboxes.sandbox import Sandbox

        return Sandbox(self, sandbox_id_of(sandbox_id))

    def _query(self, timeout_seconds: DurationLike | None) -> Deadline:
        return Deadline(self._explicit(timeout_seconds) or self._timeout)

    def _budget(self, timeout_seconds: DurationLike | None) -> Budget:
        return Budget(
            self._explicit(timeout_seconds),
            self._timeout,
            self._operation_timeout,
            self._operation_timeout,
        )

    def _exec_budget(self, timeout_seconds: DurationLike | None) -> Budget:
        return Budget(
            self._explicit(timeout_seconds),
            self._timeout,
            self._exec_timeout,
            self._operation_timeout,
        )

    def _time_to_delete(self, cleanup_timeout_seconds: DurationLike) -> Callable[[], Budget]:
        """Return what makes the budget of a clean-up when that begins."""
        seconds = to_seconds("cleanup_timeout_seconds", cleanup_timeout_seconds)
        return lambda: Budget(None, self._timeout, seconds, self._operation_timeout)

    def _explicit(self, timeout_seconds: DurationLike | None) -> float | None:
        return None if timeout_seconds is None else to_seconds("timeout_seconds", timeout_seconds)


def _optional(name: str, seconds: DurationLike | None) -> float:
    return math.inf if seconds is None else to_seconds(name, seconds)


def _started(exec_id: str) -> str:
    return f"exec {exec_id} was started: check with get_exec"
