"""The agent with the async client."""

from pathlib import Path

import pytest
from tested_agent import INSTALL, TEST, Verdict, judge_async

from agents_sandbox import AgentsSandboxClient, SandboxFailedError
from agents_sandbox.testing import ContainerBehavior, FakeDaemon


async def test_verdict(
    agents_sandbox_client: AgentsSandboxClient, agents_sandbox_daemon: FakeDaemon, tmp_path: Path
) -> None:
    agents_sandbox_daemon.on_exec(INSTALL).exit(1).then().exit(0)
    agents_sandbox_daemon.on_exec(TEST, cwd="/workspace").stdout("1 passed\n")
    verdict = await judge_async(agents_sandbox_client, tmp_path)
    assert verdict == Verdict(passed=True, output="1 passed\n")
    agents_sandbox_daemon.assert_no_leaks(sandboxes=True)


@pytest.mark.agents_sandbox(
    containers={"python:3.13": ContainerBehavior(error="no space left on device")}
)
async def test_full_disk(agents_sandbox_client: AgentsSandboxClient, tmp_path: Path) -> None:
    with pytest.raises(SandboxFailedError, match="no space left on device"):
        await judge_async(agents_sandbox_client, tmp_path)
