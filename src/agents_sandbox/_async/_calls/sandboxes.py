"""The calls about sandboxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..._aio import public
from ..._arguments import checks
from ..._arguments.creates import NewSandbox
from ..._arguments.durations import DurationLike, check_range, to_timedelta
from ..._arguments.ids import SandboxIdLike, sandbox_id_of
from ..._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from ..._deadline import Budget
from ..._enums import SandboxState
from ..._goals import BECOME_READY, BecomeDeleted, reach
from ..._notes import Remains
from ...errors import SandboxClientError
from ...models import DeleteSandboxesResult, SandboxHandle
from .._waits import DeleteWait, DeletionWatch, SandboxWait, StopWait, create_sandbox
from .base import Calls


class SandboxCalls(Calls):
    """Makes, reads, stops and deletes sandboxes."""

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
        with Remains() as remains:
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
        from .._sandboxes.leftovers import delete_leftovers

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
