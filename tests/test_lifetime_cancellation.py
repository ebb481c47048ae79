"""A task that is cancelled at any await of a block leaves no sandbox behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count

import pytest

from agents_sandbox import AgentsSandboxClient, SandboxState
from agents_sandbox._async._sandboxes import lifetime
from agents_sandbox.testing import FakeDaemon

from .brief import brief_daemon
from .cancelling import Suspensions
from .examples import FEW
from .releases import any_release

pytestmark = [any_release, pytest.mark.slow]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

numbers = count()

# All of them take a quarter of a minute. Set it to 1 after a change of the blocks or of the
# primitives.
STRIDE = 7 if FEW else 2


@pytest.fixture
def daemon(release: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.setattr(lifetime, "READ_BACK_PAUSE", 0.02)
    with brief_daemon(release) as running:
        yield running


@pytest.fixture
async def client(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    async with AgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


async def sandbox_block(client: AgentsSandboxClient) -> None:
    async with client.sandbox(image=IMAGE) as sandbox:
        await sandbox.run(("brief",))


async def chosen_id_block(client: AgentsSandboxClient) -> None:
    async with client.sandbox(image=IMAGE, sandbox_id=f"sandbox-{next(numbers)}"):
        pass


async def scope_block(client: AgentsSandboxClient) -> None:
    async with client.scope() as scope:
        await scope.create_sandbox(image=IMAGE, wait=False)
        async with scope.sandbox(image=IMAGE):
            pass


async def pool_block(client: AgentsSandboxClient) -> None:
    async with client.pool(1, image=IMAGE) as pool, pool.take():
        pass


Block = Callable[[AgentsSandboxClient], Awaitable[None]]
each_block = pytest.mark.parametrize(
    "block", [sandbox_block, chosen_id_block, scope_block, pool_block]
)


async def nothing_is_left(daemon: FakeDaemon, client: AgentsSandboxClient) -> None:
    """Check that everything is being deleted, and wait until it is."""
    while handles := await client.list_sandboxes():
        assert {handle.state for handle in handles} == {SandboxState.DELETING}
    await asyncio.to_thread(daemon.wait_for_streams, 0)


async def run_block(block: Block, client: AgentsSandboxClient) -> None:
    await block(client)


@each_block
@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_block(
    daemon: FakeDaemon, client: AgentsSandboxClient, block: Block, late: bool
) -> None:
    tasks = asyncio.all_tasks()
    suspensions, k = Suspensions(1), 1
    while k == 1 or suspensions.reached:
        suspensions = Suspensions(k, late=late)
        async with AgentsSandboxClient(daemon.socket_path) as fresh:
            await suspensions.run(run_block(block, fresh))
            await nothing_is_left(daemon, client)
        k += STRIDE
    assert k > 10
    assert not asyncio.all_tasks() - tasks


@each_block
async def test_a_block_that_is_cancelled_again_during_the_clean_up(
    daemon: FakeDaemon, client: AgentsSandboxClient, block: Block
) -> None:
    first, reached = 3, True
    while reached:
        reached, second = False, 1
        suspensions = Suspensions(1)
        while second == 1 or suspensions.reached:
            suspensions = Suspensions(first, again_after=[second])
            async with AgentsSandboxClient(daemon.socket_path) as fresh:
                await suspensions.run(run_block(block, fresh))
                await nothing_is_left(daemon, client)
            reached |= suspensions.cancelled
            second += STRIDE
        first += 5 * STRIDE
    assert first > 10
