"""Runs the test files of a project in several sandboxes at once.

    python parallel_tests.py [-n 4] PROJECT

Each sandbox has its own copy of the project and installs its `requirements.txt`, which must name
pytest. It takes the next file when it has finished one. The exit code is 0 if all files passed.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from agents_sandbox import (
    AgentsSandboxClient,
    CopySpec,
    ExecFailedError,
    ExecProcess,
    OperationTimeoutError,
    Sandbox,
    SandboxScope,
)

IMAGE = "python:3.13"
INSTALL = ("pip", "install", "--quiet", "-r", "requirements.txt")
TEST = ("python", "-m", "pytest", "--color=yes")
FILE_SECONDS = 600

Outcomes = dict[str, int | None]


async def run_all(client: AgentsSandboxClient, project: Path, sandboxes: int) -> Outcomes:
    files = sorted(path.relative_to(project).as_posix() for path in project.rglob("test_*.py"))
    outcomes: Outcomes = {}
    left = iter(files)
    async with client.scope() as scope:  # if one worker fails, the sandboxes of all are deleted
        workers = [
            run_some(scope, project, left, outcomes) for _ in range(min(sandboxes, len(files)))
        ]
        await asyncio.gather(*workers)
    return outcomes


async def run_some(
    scope: SandboxScope, project: Path, left: Iterator[str], outcomes: Outcomes
) -> None:
    copy = CopySpec(project, "/workspace", exclude_patterns=[".git", ".venv", "__pycache__"])
    async with scope.sandbox(image=IMAGE, copies=[copy]) as sandbox:
        await sandbox.run(INSTALL, check=True, timeout_seconds=FILE_SECONDS)
        for file in left:
            outcomes[file] = await run_one(sandbox, file)


async def run_one(sandbox: Sandbox, file: str) -> int | None:
    try:
        async with sandbox.start((*TEST, file), timeout_seconds=FILE_SECONDS) as process:
            async for line in lines(process):
                print(f"{file}: {line}", flush=True)
    except OperationTimeoutError as error:
        print(f"{file}: {error}", flush=True)
        return None
    return process.exit_code


async def lines(process: ExecProcess) -> AsyncIterator[str]:
    """Output comes in pieces of any length, each from one of the two streams."""
    rests = {"stdout": "", "stderr": ""}
    async for chunk in process.output():
        *complete, rests[chunk.stream] = (rests[chunk.stream] + chunk.text).split("\n")
        for line in complete:
            yield line
    for rest in filter(None, rests.values()):
        yield rest


def summarise(outcomes: Outcomes) -> int:
    failed = sorted(file for file, exit_code in outcomes.items() if exit_code != 0)
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} files passed")
    for file in failed:
        print(f"failed: {file}, exit code {outcomes[file]}")
    return 1 if failed or not outcomes else 0


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path)
    parser.add_argument("-n", type=int, default=4, help="how many sandboxes; default: 4")
    options = parser.parse_args()
    async with AgentsSandboxClient() as client:
        try:
            return summarise(await run_all(client, options.project.resolve(), options.n))
        except ExecFailedError as error:
            result = error.result
            output = f"{result.stdout}{result.stderr}" if result is not None else ""
            print(f"the installation failed: {error}\n{output}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
