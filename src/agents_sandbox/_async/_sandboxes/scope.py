"""Many sandboxes that end together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..._aio import public
from ..._arguments import checks
from ..._arguments.creates import NewSandbox
from ..._arguments.durations import DurationLike
from ..._arguments.ids import new_uuid
from ..._deadline import Budget
from ..._frozen import FrozenMapping
from ..._telemetry import reports
from ..._tracebacks import ends_at_caller
from ..._workspace import Workspace
from ...errors import (
    ClientClosedError,
    SandboxClientError,
    ScopeClosedError,
)
from .._daemon import Daemon
from .ending import Ending
from .lifetime import SandboxLifetime
from .sandbox import Sandbox

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ..._arguments.creates import SandboxArguments

SCOPE_LABEL = "agents-sandbox.scope"


class SandboxScope(Ending):
    """A context manager for many sandboxes, all deleted at the end of the block.

    Made by `client.scope()`. Any number of tasks or threads may use it at once.

    Args:
        make: Makes the lifetime of a sandbox.
        daemon: The daemon.
        labels: Labels of all its sandboxes.
        time_to_delete: Makes the budget of the deletes when they begin.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self,
        make: Callable[..., SandboxLifetime],
        daemon: Daemon,
        labels: Mapping[str, str],
        time_to_delete: Callable[[], Budget],
    ) -> None:
        super().__init__(daemon, time_to_delete)
        self._make = make
        self._labels = FrozenMapping({**labels, SCOPE_LABEL: new_uuid()})
        self._lifetimes: set[SandboxLifetime] = set()
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {self._labels[SCOPE_LABEL]} {state}>"

    async def __aenter__(self) -> Self:
        self._require_open()
        return self

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its sandboxes, for `list_sandboxes(label_selector=scope.labels)`."""
        return self._labels

    @public
    async def aclose(self) -> None:
        """Delete all its sandboxes now, and make no new ones. Safe to repeat.

        Raises:
            SandboxClientError: A sandbox could not be deleted in time.
        """
        await self.__aexit__(None, None, None)

    @ends_at_caller
    def sandbox(
        self,
        *,
        workspace: str | os.PathLike[str] | bool = False,
        timeout_seconds: DurationLike | None = None,
        **arguments: Unpack[SandboxArguments],
    ) -> SandboxLifetime:
        """Return a context manager as `client.sandbox` does: the sandbox ends with its own block.

        If the scope ends first, so does the sandbox.

        Args:
            workspace: As in `client.sandbox`.
            timeout_seconds: As in `client.sandbox`.
            **arguments: As in `create_sandbox`.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
            ScopeClosedError: The scope ends or has ended.
        """
        new = NewSandbox.of("sandbox", arguments)
        return self._lifetime(
            new, timeout_seconds, wait=True, workspace=Workspace.of(workspace, new.mounts)
        )

    @public
    async def create_sandbox(
        self,
        *,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
        **arguments: Unpack[SandboxArguments],
    ) -> Sandbox:
        """Create a sandbox that ends with the scope.

        Args:
            wait: As in `create_sandbox`.
            timeout_seconds: As in `create_sandbox`.
            **arguments: As in `create_sandbox`.

        Returns:
            The sandbox; its `handle` is what `create_sandbox` would return.

        Raises:
            ScopeClosedError: The scope ends or has ended.
            SandboxClientError: As in `create_sandbox`; nothing is left behind then.
        """
        waits = checks.boolean("wait", wait)
        new = NewSandbox.of("create_sandbox", arguments)
        return await self._lifetime(new, timeout_seconds, wait=waits).__aenter__()

    def _lifetime(
        self,
        new: NewSandbox,
        timeout_seconds: DurationLike | None,
        *,
        wait: bool,
        workspace: Workspace | None = None,
    ) -> SandboxLifetime:
        self._require_open()

        def admit() -> None:
            # The end of the scope does the same in the other order: one of the two sees the other.
            self._lifetimes.add(lifetime)
            self._require_open()

        lifetime: SandboxLifetime = self._make(
            new.with_labels(self._own_label(), default=self._labels),
            timeout_seconds,
            lambda: self._budget or self._time_to_delete(),
            wait=wait,
            workspace=workspace,
            before_request=admit,
            after_delete=lambda: self._lifetimes.discard(lifetime),
        )
        return lifetime

    def _require_open(self) -> None:
        if self._closed:
            raise ScopeClosedError("the scope ends or has ended: it creates no more sandboxes")

    def _own_label(self) -> dict[str, str]:
        return {SCOPE_LABEL: self._labels[SCOPE_LABEL]}

    def _left(self) -> str:
        return f"sandboxes with the label {SCOPE_LABEL}={self._labels[SCOPE_LABEL]} may exist"

    async def _delete(self, daemon: Daemon, budget: Budget) -> None:
        self._closed = True
        try:
            await daemon.delete_sandboxes(self._own_label(), budget.rpc())
        except ClientClosedError:
            raise
        except SandboxClientError as error:  # each is deleted below
            reports.clean_up_failed("delete of all sandboxes of a scope at once", error)
        # All at once so far. Now one after the other: first those whose delete takes no time.
        for lifetime in sorted(self._lifetimes, key=lambda lifetime: not lifetime.ready):
            try:
                await lifetime._end(None)  # noqa: SLF001 - of the same base
            except SandboxClientError as error:
                self._failures.append(error)
