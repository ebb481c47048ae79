"""Ctrl-C at any line of a block, and of its clean-up, leaves no sandbox behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count

import pytest

from agents_sandbox import (
    SandboxFailedError,
    SandboxState,
    SyncAgentsSandboxClient,
    SyncSandboxScope,
)
from agents_sandbox._sync_generated._sandboxes import lifetime
from agents_sandbox.testing import FakeDaemon

from .brief import brief_daemon
from .examples import FEW
from .interrupting import Lines, join
from .releases import any_release

pytestmark = [any_release, pytest.mark.slow]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

numbers = count()

# All lines take minutes. Set it to 1 after a change of the blocks or of the primitives.
STRIDE = 53 if FEW else 17


@pytest.fixture
def daemon(release: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.setattr(lifetime, "READ_BACK_PAUSE", 0.02)
    with brief_daemon(release) as running:
        yield running


@pytest.fixture
def watcher(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    """A client that is never interrupted."""
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        yield client


def empty_block(client: SyncAgentsSandboxClient) -> None:
    with client.sandbox(image=IMAGE):
        pass


def chosen_id_block(client: SyncAgentsSandboxClient) -> None:
    with client.sandbox(image=IMAGE, sandbox_id=f"sandbox-{next(numbers)}"):
        pass


def scope_block(client: SyncAgentsSandboxClient) -> None:
    with client.scope() as scope:
        scope.create_sandbox(image=IMAGE)


def pool_block(client: SyncAgentsSandboxClient) -> None:
    with client.pool(1, image=IMAGE) as pool, pool.take():
        pass


Block = Callable[[SyncAgentsSandboxClient], None]
each_block = pytest.mark.parametrize(
    "block", [empty_block, chosen_id_block, scope_block, pool_block]
)


def nothing_is_left(daemon: FakeDaemon, watcher: SyncAgentsSandboxClient, place: str) -> None:
    """Check that everything is being deleted, and wait until it is."""
    while handles := watcher.list_sandboxes():
        assert {handle.state for handle in handles} == {SandboxState.DELETING}, place
    daemon.wait_for_streams(0)
    for thread in threading.enumerate():
        if thread.name in ("agents-sandbox-clean-up", "agents-sandbox-events"):
            join(thread)


def interrupt(
    daemon: FakeDaemon, watcher: SyncAgentsSandboxClient, block: Block, lines: Lines
) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        lines.run(partial(block, client))
        nothing_is_left(daemon, watcher, lines.place)


@each_block
def test_ctrl_c_at_any_line(
    daemon: FakeDaemon, watcher: SyncAgentsSandboxClient, block: Block
) -> None:
    lines, k = Lines(1), 1
    while k == 1 or lines.reached:
        lines = Lines(k)
        interrupt(daemon, watcher, block, lines)
        k += STRIDE
    assert k > 40


def test_ctrl_c_at_any_line_of_the_clean_up_after_another_error(
    daemon: FakeDaemon, watcher: SyncAgentsSandboxClient
) -> None:
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        lines = Lines(k)
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            block = client.sandbox(image=IMAGE) if k % 2 else client.scope()
            with pytest.raises(KeyboardInterrupt, match="the first one"), ExitStack() as stack:
                made = block.__enter__()
                if isinstance(made, SyncSandboxScope):
                    made.create_sandbox(image=IMAGE)
                stack.enter_context(lines.counted())
                stack.push(block.__exit__)
                raise KeyboardInterrupt("the first one")
            nothing_is_left(daemon, watcher, lines.place)
    assert k > 10


def test_ctrl_c_at_any_line_of_a_create_that_fails(
    daemon: FakeDaemon, watcher: SyncAgentsSandboxClient
) -> None:
    lines, k = Lines(1), 1
    while k == 1 or lines.reached:
        lines = Lines(k)
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises((SandboxFailedError, KeyboardInterrupt)), lines.counted():
                client.sandbox(image="broken").__enter__()
            nothing_is_left(daemon, watcher, lines.place)
        k += STRIDE
    assert k > 40
