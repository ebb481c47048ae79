"""A pool of sandboxes that are READY before they are needed."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..._aio import CleanUp
from ..._arguments.creates import NewSandbox
from ..._arguments.durations import DurationLike, to_seconds
from ..._deadline import Deadline
from ..._enums import SandboxState
from ..._tracebacks import ends_at_caller
from ...errors import InvalidArgumentError, SandboxNotFoundError
from .._block import Block, begins_block
from .sandbox import Sandbox
from .scope import SandboxScope
from .stock import Offer, Stock, Taker

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..._arguments.creates import PoolArguments


# A call that has no time at all would be refused as one with a wrong argument.
_MOMENT = 0.001


class SandboxPool(Block):
    """A context manager that keeps sandboxes READY for those who take them.

    Made by `client.pool()`. Any number of tasks or threads may use it at once.

    Args:
        scope: Deletes all its sandboxes at the end.
        stock: The sandboxes that are kept READY.
        patience_seconds: How long to wait for one by default, in seconds.
        rpc_seconds: How long one call may take, in seconds.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self, scope: SandboxScope, stock: Stock, patience_seconds: float, rpc_seconds: float
    ) -> None:
        self._scope = scope
        self._stock = stock
        self._stopping = CleanUp(stock.stop)
        self._patience = patience_seconds
        self._rpc_seconds = rpc_seconds

    def __repr__(self) -> str:
        state = f"ready={self.available}"
        if self._stock.closed:
            state = "closed" if self._entered else "not entered"
        return f"<{type(self).__name__} size={self.size} {state}>"

    @property
    def size(self) -> int:
        """How many sandboxes it keeps READY."""
        return len(self._stock.places)

    @property
    def available(self) -> int:
        """How many are READY and wait to be taken, as far as is known."""
        return len(self._stock.ready)

    @property
    def waiting(self) -> int:
        """How many callers of `take` wait for one."""
        return len(self._stock.takers)

    @begins_block("this pool was entered before: make a new one with client.pool()")
    async def __aenter__(self) -> Self:
        self._stock.start()
        return self

    async def _end(self, raising: BaseException | None) -> None:
        self._stock.close()
        try:
            await self._scope.__aexit__(None, raising, None)
        finally:
            await self._stopping.finish(raising)

    @ends_at_caller
    def take(self, *, timeout_seconds: DurationLike | None = None) -> PooledSandbox:
        """Return a context manager: a READY sandbox for one block, which is then deleted.

        Those who wait are served in turn. The deletion is that of `client.sandbox`.

        Args:
            timeout_seconds: How long to wait for one, in seconds; None: the client's
                `operation_timeout_seconds`.

        Returns:
            A context manager that can be entered once and gives the sandbox. Entering it raises
            `OperationTimeoutError`: none became READY in time; the error of the create, if no
            retry can change it or if it has happened again and again; `ScopeClosedError`: the
            pool has ended, or was not entered.

        Raises:
            InvalidArgumentError: The timeout is not acceptable.
        """
        seconds = self._patience
        if timeout_seconds is not None:
            seconds = to_seconds("timeout_seconds", timeout_seconds)
        return PooledSandbox(self._stock, seconds, self._rpc_seconds)


class PooledSandbox(Block):
    """A context manager: a sandbox of a pool for one block.

    Made by the pool's `take()`.

    Args:
        stock: The stock of the pool.
        seconds: How long to wait for it, in seconds.
        rpc_seconds: How long one call may take, in seconds.
    """

    __module__ = "agents_sandbox"

    def __init__(self, stock: Stock, seconds: float, rpc_seconds: float) -> None:
        self._stock = stock
        self._seconds = seconds
        self._rpc_seconds = rpc_seconds
        self._taker = Taker()
        self._taken: Offer | None = None

    @begins_block("this context manager was entered before: call take() again")
    async def __aenter__(self) -> Sandbox:
        deadline = Deadline(self._seconds)
        first = False
        while True:
            self._stock.enqueue(self._taker, first=first)
            offer = await self._stock.wait(self._taker, deadline)
            if await _is_ready(offer.sandbox, deadline.within(self._rpc_seconds)):
                self._taken = offer
                offer.leave()
                return offer.sandbox
            offer.dead = True
            offer.leave()
            self._taker, first = Taker(), True

    async def _end(self, raising: BaseException | None) -> None:
        if self._taken is None:
            self._stock.give_back(self._taker)
        else:
            self._taken.leave()
            await self._taken.lifetime.__aexit__(None, raising, None)


async def _is_ready(sandbox: Sandbox, deadline: Deadline) -> bool:
    left = deadline.remaining()
    seconds = None if left is None else max(left, _MOMENT)
    try:
        return (await sandbox.refresh(timeout_seconds=seconds)).state is SandboxState.READY
    except SandboxNotFoundError:  # deleted and purged
        return False


def repeatable(arguments: PoolArguments) -> PoolArguments:
    """Check the arguments of creates, and return some that can be used again and again.

    Without an `idle_ttl` in them, the daemon would stop the sandboxes that wait.

    Raises:
        InvalidArgumentError: One is not acceptable.
    """
    if arguments.get("sandbox_id") is not None:
        raise InvalidArgumentError("sandbox_id cannot be chosen: a pool has many sandboxes")
    new = NewSandbox.of("pool", arguments)
    again: Any = {
        field.name: value
        for field in fields(new)
        if field.name not in ("sandbox_id", "id_is_ours")
        and (value := getattr(new, field.name)) not in (None, "", b"", (), {})
    }
    if not new.config_yaml:
        again.setdefault("idle_ttl", timedelta(0))
    checked: PoolArguments = again
    return checked
