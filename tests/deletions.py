"""What programs leave on a daemon: nothing, once it has deleted what they wanted deleted."""

from __future__ import annotations

from agents_sandbox import SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon


def wait_until_deleted(daemon: FakeDaemon) -> None:
    """Wait until all sandboxes are DELETED; raise if one of them is not being deleted."""
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        for sandbox in daemon.sandboxes:
            client.wait_for_sandbox(sandbox.sandbox_id, SandboxState.DELETED)
