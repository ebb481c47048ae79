"""A sandbox as an object: the client's calls without its id."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..._aio import public
from ..._arguments import checks
from ..._arguments.durations import DurationLike
from ..._output.result import MAX_OUTPUT_BYTES, ExecResult
from ..._shared.shown import shown_id, told_fields
from ..._tracebacks import ends_at_caller
from ...models import SandboxHandle
from .._events import AsyncSandboxEventStream

if TYPE_CHECKING:
    from .._client import AgentsSandboxClient
    from .._execs.process import ExecProcess
    from .files import SandboxFiles


class Sandbox:
    """One sandbox: the client's methods, without its id.

    Made by `client.sandbox()` and `client.attach()`. Methods that take a `sandbox_id` take it, too.

    Args:
        client: The client.
        sandbox_id: The sandbox.
        handle: A snapshot of it, if there is one.
        workspace: The folder of this host that is its `/workspace`, if there is one.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self,
        client: AgentsSandboxClient,
        sandbox_id: str,
        handle: SandboxHandle | None = None,
        *,
        workspace: Path | None = None,
    ) -> None:
        self._client = client
        self._id = checks.lookup_id("sandbox_id", sandbox_id)
        self._handle = handle
        self._workspace = workspace
        self._files: SandboxFiles | None = None

    def __repr__(self) -> str:
        state = "" if self._handle is None else f" {self._handle.state.name}"
        return f"<{type(self).__name__} {shown_id(self._id)}{state}>"

    def _repr_html_(self) -> str:
        from ..._shared.markup import fields_table

        handle = self._handle
        known = [("sandbox_id", self._id)] if handle is None else told_fields(handle)
        folder = [] if self._workspace is None else [("workspace", str(self._workspace))]
        return fields_table(type(self).__name__, [*known, *folder])

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

    @property
    def files(self) -> SandboxFiles:
        """Its files."""
        if self._files is None:
            from .files import SandboxFiles

            self._files = SandboxFiles(self._client, self._id)
        return self._files

    @property
    def workspace(self) -> Path | None:
        """The folder of this host that is its `/workspace`; None: it has none."""
        return self._workspace

    @public
    async def refresh(self, *, timeout_seconds: DurationLike | None = None) -> SandboxHandle:
        """Read a fresh snapshot; arguments and errors as in `get_sandbox`."""
        fresh = await self._client.get_sandbox(self._id, timeout_seconds=timeout_seconds)
        return self._note(fresh)

    @public
    async def run(
        self,
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
        """Run a command and wait until it ends; arguments and errors as in `client.run`."""
        return await self._client.run(
            self._id,
            command,
            exec_id=exec_id,
            cwd=cwd,
            env_overrides=env_overrides,
            input=input,
            check=check,
            max_output_bytes=max_output_bytes,
            kill_on_timeout=kill_on_timeout,
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
        input: str | bytes | None = None,  # noqa: A002 - as in `subprocess.run`
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
            input=input,
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
        fresh = await self._client.stop_sandbox(
            self._id, wait=wait, timeout_seconds=timeout_seconds
        )
        return self._note(fresh)

    @public
    async def resume(
        self, *, wait: bool = True, timeout_seconds: DurationLike | None = None
    ) -> SandboxHandle:
        """Start it again; arguments and errors as in `resume_sandbox`."""
        fresh = await self._client.resume_sandbox(
            self._id, wait=wait, timeout_seconds=timeout_seconds
        )
        return self._note(fresh)

    @public
    async def delete(
        self, *, wait: bool = True, timeout_seconds: DurationLike | None = None
    ) -> SandboxHandle:
        """Delete it; arguments and errors as in `delete_sandbox`."""
        fresh = await self._client.delete_sandbox(
            self._id, wait=wait, timeout_seconds=timeout_seconds
        )
        return self._note(fresh)

    # Calls of several tasks or threads can end in another order than the daemon has answered.
    def _note(self, fresh: SandboxHandle) -> SandboxHandle:
        known = self._handle
        if known is None or fresh.last_event_sequence >= known.last_event_sequence:
            self._handle = fresh
        return fresh
