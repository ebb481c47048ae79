"""One exec: its start, its newest snapshot, and the waits for its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..._aio import TimedLock
from ..._arguments.creates import NO_LOGS, LogPaths, NewExec
from ..._connection.rpc import concerning
from ..._deadline import Budget
from ..._goals.exec_end import may_be_running
from ..._notes import Remains
from ...errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
)
from ...models import ExecHandle
from .._daemon import Daemon
from .._feeds import Feeds
from .._waits import ExecWait

if TYPE_CHECKING:
    from .._sandboxes.file_commands import Input

# After these, a create may have succeeded. The others refuse it.
_UNCERTAIN = (DaemonUnavailableError, OperationTimeoutError, ProtocolError)


class Execution(ABC):
    """One exec.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        exec_id: Its id.
        sandbox_id: Its sandbox; empty if that is not known yet.
        budget: Makes the time that the command has; called when it begins.
    """

    def __init__(
        self,
        daemon: Daemon,
        feeds: Feeds,
        exec_id: str,
        sandbox_id: str,
        budget: Callable[[], Budget],
    ) -> None:
        self.daemon = daemon
        self.feeds = feeds
        self._make_budget = budget
        self._budget: Budget | None = None
        self._logs: LogPaths | None = None
        self._turn = TimedLock()
        self.exec_id: str = exec_id
        self.sandbox_id: str = sandbox_id
        self.handle: ExecHandle | None = None
        """The newest snapshot; None before the first."""
        self.ours: bool = False
        """Whether the exec with this id exists, or may exist, and is the one that we started."""
        self.given: Input | None = None
        """The input that we give it."""

    @abstractmethod
    async def _start(self) -> ExecHandle:
        """Make the first snapshot."""

    @property
    def accepted(self) -> bool:
        """Whether the daemon has accepted it, as far as we know."""
        return self._logs is not None

    @property
    def running(self) -> bool:
        """Whether it may be running."""
        return self.ours and not (self.handle is not None and self.handle.state.is_terminal)

    async def begin(self) -> ExecHandle:
        """Start it, unless that was done, and return the newest snapshot."""
        async with self._turn.held(None):
            if self.handle is None:
                self.handle = await self._start()
            return self.handle

    def wait(self, seconds: float | None = None) -> ExecWait:
        """Make a wait for the end of an exec that has begun.

        Args:
            seconds: How long it may take; None: as long as the command has.
        """
        budget = self.budget if seconds is None else self.budget.within(seconds)
        return ExecWait(self.daemon, self.feeds, self.exec_id, budget, self.sandbox_id, self.logs)

    def see(self, handle: ExecHandle) -> ExecHandle:
        """Take note of a snapshot, and return it."""
        self.handle = handle
        return handle

    def located(self) -> ExecHandle:
        """Return the newest snapshot with the paths at which its logs are; it has begun.

        Raises:
            OutputUnavailableError: The daemon keeps none, or they are unknown.
        """
        assert self.handle is not None  # noqa: S101 - for type checkers
        logs = self.daemon.where_logs_are(self.handle)
        return replace(self.handle, stdout_log_path=logs.stdout, stderr_log_path=logs.stderr)

    @property
    def budget(self) -> Budget:
        """The time that the command has, from its start."""
        if self._budget is None:
            self._budget = self._make_budget()
        return self._budget

    @property
    def logs(self) -> LogPaths:
        """Its log paths, as far as the answer to its create has told them."""
        return self._logs or NO_LOGS


class Started(Execution):
    """One exec that this client starts.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        new: What to run.
        budget: As in `Execution`.
        given: Its input; None: none.
    """

    def __init__(
        self,
        daemon: Daemon,
        feeds: Feeds,
        new: NewExec,
        budget: Callable[[], Budget],
        given: Input | None = None,
    ) -> None:
        super().__init__(daemon, feeds, new.exec_id, new.sandbox_id, budget)
        self._new = new
        self.given = given

    async def _start(self) -> ExecHandle:
        time = self.budget
        with Remains() as remains:
            if self._logs is None:
                create = partial(self._create, remains)
                if self.given is None:
                    await create(self._new)
                else:
                    await self.given.used_by(create, time.operation)
            remains.note = may_be_running(self.exec_id)
            with concerning(self.sandbox_id, self.exec_id):
                return await self.daemon.get_exec(self.exec_id, time.rpc(), self.logs)

    async def _create(self, remains: Remains, new: NewExec) -> None:
        # An id of the caller may be that of another exec, until the daemon accepts it.
        self.ours = new.id_is_ours
        try:
            _, self._logs = await self.daemon.create_exec(new, self.budget.rpc(), remains)
            self.ours = True
        except SandboxClientError as error:
            self.ours = self.ours and isinstance(error, _UNCERTAIN)
            raise
        finally:
            self.exec_id = remains.id or self.exec_id


class Attached(Execution):
    """One exec that somebody else has started."""

    async def _start(self) -> ExecHandle:
        with concerning(exec_id=self.exec_id):
            handle = await self.daemon.get_exec(self.exec_id, self.budget.rpc())
        self.sandbox_id = handle.sandbox_id
        return handle
