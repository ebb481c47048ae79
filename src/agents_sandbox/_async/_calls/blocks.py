"""What the client makes for blocks of code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..._arguments import checks
from ..._arguments.creates import NewSandbox
from ..._arguments.durations import DurationLike
from ..._arguments.ids import SandboxIdLike, sandbox_id_of
from ..._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from ..._deadline import CLEANUP_SECONDS, Budget
from ..._tracebacks import ends_at_caller
from ...models import SandboxHandle
from .base import Calls

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..._arguments.creates import PoolArguments
    from .._sandboxes.lifetime import SandboxLifetime
    from .._sandboxes.pool import SandboxPool
    from .._sandboxes.sandbox import Sandbox
    from .._sandboxes.scope import SandboxScope


class Blocks(Calls):
    """Sandboxes that end with a block."""

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
        from ..._workspace import Workspace

        return self._lifetime(
            new,
            timeout_seconds,
            self._time_to_delete(cleanup_timeout_seconds),
            keep=checks.boolean("keep", keep),
            workspace=Workspace.of(workspace, new.mounts),
        )

    def _lifetime(
        self,
        new: NewSandbox,
        timeout_seconds: DurationLike | None,
        time_to_delete: Callable[[], Budget],
        **more: Any,
    ) -> SandboxLifetime:
        from .._sandboxes.lifetime import SandboxLifetime

        explicit = self._explicit(timeout_seconds)
        return SandboxLifetime(
            self._client,
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
        from .._sandboxes.scope import SandboxScope

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
        **arguments: Unpack[PoolArguments],
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
        from .._sandboxes.pool import SandboxPool, repeatable
        from .._sandboxes.stock import Stock

        checks.integer("size", size, minimum=1, maximum=1000)
        scope = self.scope(cleanup_timeout_seconds=cleanup_timeout_seconds)
        again = repeatable(arguments)
        self._explicit(timeout_seconds)
        stock = Stock(size, lambda: scope.sandbox(timeout_seconds=timeout_seconds, **again))
        return SandboxPool(scope, stock, self._operation_timeout, self._timeout)

    @ends_at_caller
    def attach(self, sandbox_id: SandboxIdLike) -> Sandbox:
        """Return an object for a sandbox that exists. No I/O: nothing is checked.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it. A handle is also the
                `handle` of the object.

        Raises:
            InvalidArgumentError: The id is not acceptable.
        """
        from .._sandboxes.sandbox import Sandbox

        handle = sandbox_id if isinstance(sandbox_id, SandboxHandle) else None
        return Sandbox(self._client, sandbox_id_of(sandbox_id), handle)
