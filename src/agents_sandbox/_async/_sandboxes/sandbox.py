"""A sandbox as an object: the client's calls without its id."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..._aio import public
from ..._arguments import checks
from ..._arguments.durations import DurationLike
from ..._output.result import MAX_OUTPUT_BYTES, ExecResult
from ..._shared.shown import shown_id
from ..._tracebacks import ends_at_caller
from ...models import SandboxHandle
from .._events import AsyncSandboxEventStream

if TYPE_CHECKING:
    from .._client import AgentsSandboxClient
    from .._execs.process import ExecProcess


class Sandbox:
    """One sandbox: the client's methods, without its id.

    Made by `client.sandbox()` and `client.attach()`. Methods that take a `sandbox_id` take it, too.

    Args:
        client: The client.
        sandbox_id: The sandbox.
        handle: A snapshot of it, if there is one.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self, client: AgentsSandboxClient, sandbox_id: str, handle: SandboxHandle | None = None
    ) -> None:
        self._client = client
        self._id = checks.lookup_id("sandbox_id", sandbox_id)
        self._handle = handle

    def __repr__(self) -> str:
        state = "" if self._handle is None else f" {self._handle.state.name}"
        return f"<{type(self).__name__} {shown_id(self._id)}{state}>"

    @property
    def id(self) -> str:
        """Its id."""
        return self._id

    @property
    def sandbox_id(self) -> str:
        """Its id, under the name that handles have."""
        return self._id

    @property
    def handle(self) -> SandboxHandle | None:
        """The newest snapshot that this object has seen; None before the first. No I/O."""
        return self._handle

    @public
    async def refresh(self, *, timeout_seconds: DurationLike | None = None) -> SandboxHandle:
        """Read a fresh snapshot; arguments and errors as in `get_sandbox`."""
        self._handle = await self._client.get_sandbox(self._id, timeout_seconds=timeout_seconds)
        return self._handle

    @public
    async def run(
        self,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        check: bool = False,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult:
        """Run a command and wait until it ends; arguments and errors as in `client.run`."""
        return await self._client.run(
            self._id,
            command,
            exec_id=exec_id,
            cwd=cwd,
            env_overrides=env_overrides,
            check=check,
            max_output_bytes=max_output_bytes,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
            timeout_seconds=timeout_seconds,
        )

    @ends_at_caller
    def start(
        self,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        keep: bool = False,
        cleanup_timeout_seconds: DurationLike = 10.0,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecProcess:
        """Return an object that starts a command; arguments and errors as in `start_exec`."""
        return self._client.start_exec(
            self._id,
            command,
            exec_id=exec_id,
            cwd=cwd,
            env_overrides=env_overrides,
            keep=keep,
            cleanup_timeout_seconds=cleanup_timeout_seconds,
            timeout_seconds=timeout_seconds,
        )

    @ends_at_caller
    def events(
        self,
        *,
        from_sequence: int = 0,
        include_current_snapshot: bool = False,
        resume: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> AsyncSandboxEventStream:
        """Follow its events; arguments and errors as in `subscribe_sandbox_events`."""
        return self._client.subscribe_sandbox_events(
            self._id,
            from_sequence=from_sequence,
            include_current_snapshot=include_current_snapshot,
            resume=resume,
            timeout_seconds=timeout_seconds,
        )

    @public
    async def stop(
        self, *, wait: bool = True, timeout_seconds: DurationLike | None = None
    ) -> SandboxHandle:
        """Stop it; arguments and errors as in `stop_sandbox`."""
        self._handle = await self._client.stop_sandbox(
            self._id, wait=wait, timeout_seconds=timeout_seconds
        )
        return self._handle

    @public
    async def resume(
        self, *, wait: bool = True, timeout_seconds: DurationLike | None = None
    ) -> SandboxHandle:
        """Start it again; arguments and errors as in `resume_sandbox`."""
        self._handle = await self._client.resume_sandbox(
            self._id, wait=wait, timeout_seconds=timeout_seconds
        )
        return self._handle

    @public
    async def delete(
        self, *, wait: bool = True, timeout_seconds: DurationLike | None = None
    ) -> SandboxHandle:
        """Delete it; arguments and errors as in `delete_sandbox`."""
        self._handle = await self._client.delete_sandbox(
            self._id, wait=wait, timeout_seconds=timeout_seconds
        )
        return self._handle
