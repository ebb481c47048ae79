"""The agent with the blocking client."""

from pathlib import Path

import pytest
from tested_agent import ATTEMPTS, INSTALL, TEST, InstallError, Verdict, judge

from agents_sandbox import MountSpec, SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon


def test_verdict(
    sync_agents_sandbox_client: SyncAgentsSandboxClient,
    agents_sandbox_daemon: FakeDaemon,
    tmp_path: Path,
) -> None:
    agents_sandbox_daemon.on_exec(INSTALL)
    agents_sandbox_daemon.on_exec(TEST, cwd="/workspace").stdout("2 failed\n").exit(1)
    assert judge(sync_agents_sandbox_client, tmp_path) == Verdict(passed=False, output="2 failed\n")
    (sandbox,) = agents_sandbox_daemon.sandboxes
    assert sandbox.spec.mounts == (MountSpec(tmp_path, "/workspace", writable=True),)
    assert sandbox.state is SandboxState.DELETED


def test_install_is_tried_again(
    sync_agents_sandbox_client: SyncAgentsSandboxClient,
    agents_sandbox_daemon: FakeDaemon,
    tmp_path: Path,
) -> None:
    agents_sandbox_daemon.on_exec(INSTALL).exit(1).then().exit(0)
    agents_sandbox_daemon.on_exec(TEST)
    assert judge(sync_agents_sandbox_client, tmp_path).passed
    assert [item.argv for item in agents_sandbox_daemon.execs] == [INSTALL, INSTALL, TEST]


def test_sandbox_is_deleted_whatever_happens(
    sync_agents_sandbox_client: SyncAgentsSandboxClient,
    agents_sandbox_daemon: FakeDaemon,
    tmp_path: Path,
) -> None:
    agents_sandbox_daemon.on_exec(prefix=("pip",)).stderr("no network\n").exit(1).times(ATTEMPTS)
    with pytest.raises(InstallError, match="pip failed 3 times"):
        judge(sync_agents_sandbox_client, tmp_path)
    agents_sandbox_daemon.assert_no_leaks(sandboxes=True)


@pytest.mark.agents_sandbox(versions="all", unscripted="succeed")
def test_every_release(sync_agents_sandbox_client: SyncAgentsSandboxClient, tmp_path: Path) -> None:
    assert judge(sync_agents_sandbox_client, tmp_path).passed
