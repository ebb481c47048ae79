"""A small agent: it runs the tests of a project in a sandbox, in both flavours of the client."""

from dataclasses import dataclass
from pathlib import Path

from agents_sandbox import (
    AgentsSandboxClient,
    ExecHandle,
    MountSpec,
    SyncAgentsSandboxClient,
)

IMAGE = "python:3.13"
INSTALL = ("pip", "install", "-r", "requirements.txt")
TEST = ("python", "-m", "pytest")
ATTEMPTS = 3


@dataclass(frozen=True)
class Verdict:
    """What the tests of a project say."""

    passed: bool
    output: str


class InstallError(Exception):
    """The project's requirements cannot be installed."""


def judge(client: SyncAgentsSandboxClient, project: Path) -> Verdict:
    """Run the tests of a project with the blocking client."""
    sandbox = client.create_sandbox(image=IMAGE, mounts=[mount(project)])
    try:
        for _ in range(ATTEMPTS):
            if client.run(sandbox.sandbox_id, INSTALL).exit_code == 0:
                return verdict(client.run(sandbox.sandbox_id, TEST))
        raise InstallError(f"{project}: pip failed {ATTEMPTS} times")
    finally:
        client.delete_sandbox(sandbox.sandbox_id)


async def judge_async(client: AgentsSandboxClient, project: Path) -> Verdict:
    """Run the tests of a project with the async client."""
    sandbox = await client.create_sandbox(image=IMAGE, mounts=[mount(project)])
    try:
        for _ in range(ATTEMPTS):
            if (await client.run(sandbox.sandbox_id, INSTALL)).exit_code == 0:
                return verdict(await client.run(sandbox.sandbox_id, TEST))
        raise InstallError(f"{project}: pip failed {ATTEMPTS} times")
    finally:
        await client.delete_sandbox(sandbox.sandbox_id)


def mount(project: Path) -> MountSpec:
    return MountSpec(project, "/workspace", writable=True)


def verdict(tested: ExecHandle) -> Verdict:
    output = Path(tested.stdout_log_path or "/dev/null").read_text()
    return Verdict(passed=tested.exit_code == 0, output=output)
