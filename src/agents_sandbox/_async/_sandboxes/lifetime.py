"""A sandbox that lives as long as a block of code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..._aio import beside
from ..._arguments.creates import NewSandbox
from ..._arguments.ids import new_uuid
from ..._deadline import Backoff, Budget
from ..._enums import SandboxState
from ..._notes import Remains, nothing
from ..._shared.shown import shown_id
from ..._telemetry import reports
from ..._workspace import Workspace
from ...errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxNotFoundError,
)
from ...models import SandboxHandle
from .._block import begins_block
from .._daemon import READ_BACK_PAUSE, Daemon
from .._feeds import Feeds
from .._waits import DeleteWait, create_sandbox
from .ending import Ending
from .sandbox import Sandbox

if TYPE_CHECKING:
    from .._client import AgentsSandboxClient

OWNER_LABEL = "agents-sandbox.owner"

# Between looks at whether the request of a create, which somebody else makes, was answered.
_MOMENT = 0.01


class SandboxLifetime(Ending):
    """A context manager: a READY sandbox for one block of code; see `client.sandbox`.

    Args:
        client: The client.
        daemon: The daemon.
        feeds: The event streams to share.
        new: What to create.
        time_to_create: Makes the budget of the create when it begins.
        time_to_delete: Makes the budget of the delete when it begins.
        keep: Whether the end of the block leaves the sandbox.
        workspace: What is to be its `/workspace`.
        wait: Whether to wait until it is READY.
        before_request: Called just before each request of the create; it may raise.
        after_delete: Called when it was deleted.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self,
        client: AgentsSandboxClient,
        daemon: Daemon,
        feeds: Feeds,
        new: NewSandbox,
        *,
        time_to_create: Callable[[], Budget],
        time_to_delete: Callable[[], Budget],
        keep: bool = False,
        workspace: Workspace | None = None,
        wait: bool = True,
        before_request: Callable[[], None] = nothing,
        after_delete: Callable[[], None] = nothing,
    ) -> None:
        super().__init__(daemon, time_to_delete)
        self._feeds = feeds
        self._client = client
        self._owner = None if new.id_is_ours else new_uuid()
        self._new = new if self._owner is None else new.with_labels({OWNER_LABEL: self._owner})
        self._time_to_create = time_to_create
        self._keep = keep
        self._workspace = workspace
        self._wait = wait
        self._remains = _Request(before_request)
        self._after_delete = after_delete
        self._creating = True
        self._ready = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown_id(self._new.sandbox_id)}>"

    @begins_block(
        "this context manager was entered before, and makes one sandbox only: call "
        "client.sandbox() again"
    )
    async def __aenter__(self) -> Sandbox:
        new, workspace = self._new, self._workspace
        if workspace is not None:
            new = new.with_mount(workspace.make())
        handle = await create_sandbox(
            self._daemon,
            self._feeds,
            new,
            self._time_to_create(),
            self._remains,
            wait=self._wait,
        )
        self._ready = handle.state is SandboxState.READY
        path = None if workspace is None else workspace.path
        return Sandbox(self._client, handle.sandbox_id, handle, workspace=path)

    @property
    def ready(self) -> bool:
        """Whether the create has finished."""
        return self._ready

    async def _end(self, raising: BaseException | None) -> None:
        if not self._keep:
            await super()._end(raising)

    async def _give_up(self, raising: BaseException) -> None:
        self._keep = self._creating = False
        await self._end(raising)

    def _left(self) -> str:
        ids = " or ".join(sorted(map(shown_id, self._remains.sandbox_ids)))
        folder = self._workspace and self._workspace.temporary
        left = f", and then remove {folder}" if folder else ""
        return f"sandbox {ids} may exist, because its delete failed: delete it later{left}"

    async def _delete(self, daemon: Daemon, budget: Budget) -> None:
        # A request that is being made could still succeed after the delete.
        while self._creating and not self._remains.accepted and not budget.operation.expired():
            await daemon.pause(_MOMENT)
        for sandbox_id in tuple(self._remains.sandbox_ids):
            await self._delete_one(sandbox_id, daemon, budget)
        if self._workspace is not None:
            await beside(self._workspace.remove)
        self._after_delete()

    async def _delete_one(self, sandbox_id: str, daemon: Daemon, budget: Budget) -> None:
        feeds = self._feeds if daemon is self._daemon else Feeds(daemon, budget.rpc_seconds)
        backoff, missing = Backoff(), self._remains.accepted
        while True:
            pause = backoff.pause(budget.operation)
            try:
                before = await daemon.get_sandbox(sandbox_id, budget.rpc())
                if not self._is_ours(before):
                    reports.not_ours(sandbox_id)
                    return
                if self._may_leave_at_once and before.state is not SandboxState.PENDING:
                    await daemon.delete_sandbox(sandbox_id, budget.rpc())
                else:  # work is in progress that could bring it back
                    await DeleteWait(daemon, feeds, sandbox_id, budget).delete()
            except SandboxNotFoundError:
                if missing:
                    return
                # The daemon may be about to store what an interrupted request creates.
                missing, pause = True, READ_BACK_PAUSE
            except DaemonUnavailableError as error:
                if budget.operation.expired() or not daemon.may_recover(error):
                    raise
                reports.delete_failed(sandbox_id, error, pause)
            except OperationTimeoutError as error:
                if budget.operation.expired():
                    raise
                reports.delete_failed(sandbox_id, error, pause)
            else:
                return
            await daemon.pause(pause)

    # Not as long as its commands could still write to a folder that is about to be removed.
    @property
    def _may_leave_at_once(self) -> bool:
        return self._ready and not (self._workspace is not None and self._workspace.temporary)

    # If the answer was lost, a sandbox with an id of the caller's may be somebody else's.
    def _is_ours(self, handle: SandboxHandle) -> bool:
        return self._owner is None or handle.labels.get(OWNER_LABEL) == self._owner


class _Request(Remains):
    """Takes note of the requests of a create.

    Args:
        before: Called before each request; it may raise.
    """

    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self._before = before

    def before_create(self, sandbox_id: str) -> None:
        self._before()
        super().before_create(sandbox_id)
