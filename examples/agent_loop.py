"""An agent: a model chooses commands, a sandbox runs them, and you see the output as it is written.

`plan` stands for the model. Put yours in its place: it gets all steps so far and returns the next
command, or None when it is done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agents_sandbox import AgentsSandboxClient, ExecResult, OperationTimeoutError, Sandbox

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
MOST_STEPS = 20
STEP_SECONDS = 60
MOST_BYTES = 32_768  # what the model reads of each stream: the end of it

PROGRAM = "def total(prices):\n    return sum(prices[1:])\n"
TEST = "python3 -c 'import prices; print(prices.total([1, 2])); assert prices.total([1, 2]) == 3'"
FIX = "sed -i 's/prices\\[1:\\]/prices/' prices.py"


@dataclass(frozen=True)
class Step:
    """What a command did. Without an exit code, its time was over or it could not be started."""

    command: str
    exit_code: int | None
    output: str


Model = Callable[[Sequence[Step]], Awaitable[str | None]]


async def plan(steps: Sequence[Step]) -> str | None:
    if not steps or steps[-1].command == FIX:
        return TEST
    return None if steps[-1].exit_code == 0 else FIX


async def solve(sandbox: Sandbox, model: Model) -> list[Step]:
    steps: list[Step] = []
    while len(steps) < MOST_STEPS and (command := await model(steps)) is not None:
        print(f"$ {command}")
        steps.append(await take_step(sandbox, command))
    return steps


async def take_step(sandbox: Sandbox, command: str) -> Step:
    try:
        result = await sandbox.run(
            ("sh", "-c", command),
            on_stdout=show,
            on_stderr=show,
            max_output_bytes=MOST_BYTES,
            timeout_seconds=STEP_SECONDS,
            kill_on_timeout=True,
        )
    except OperationTimeoutError as error:
        if not isinstance(error.last_handle, ExecResult):
            raise  # the command could not be killed
        return Step(command, None, text(error.last_handle))
    return Step(command, result.exit_code, text(result) or result.error or "")


def text(result: ExecResult) -> str:
    return result.stdout + result.stderr


def show(output: str) -> None:
    print(output, end="", flush=True)


async def main() -> None:
    async with AgentsSandboxClient() as client, client.sandbox(image=IMAGE) as sandbox:
        await sandbox.files.write_text("prices.py", PROGRAM)
        steps = await solve(sandbox, plan)
    print(f"{len(steps)} steps, exit codes", *(step.exit_code for step in steps))


if __name__ == "__main__":
    asyncio.run(main())
