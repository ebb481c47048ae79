"""A client of the test's daemon."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable

import pytest

from agents_sandbox import AgentsSandboxClient, SandboxHandle, _deadline
from agents_sandbox._deadline import Backoff, Deadline
from agents_sandbox._surroundings import clock
from agents_sandbox.testing import FakeDaemon

from .._aio import off_loop

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

LastAttempt = Callable[..., None]
AtPause = Callable[[int, Callable[[], object]], None]


@pytest.fixture
async def client(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    """A client of the test's daemon; its waits are short enough for a test."""
    async with AgentsSandboxClient(
        daemon.socket_path, operation_timeout_seconds=20, exec_timeout_seconds=20
    ) as opened:
        yield opened


@pytest.fixture
async def sandbox(client: AgentsSandboxClient, daemon: FakeDaemon) -> SandboxHandle:
    """A READY sandbox; no stream is open that a test could mistake for its own."""
    handle = await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
    await off_loop(daemon.wait_for_streams, 0)
    return handle


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits only briefly for what should follow an end at once."""
    monkeypatch.setattr(_deadline, "GRACE_SECONDS", 0.05)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of the client, in seconds. They take no time: its clock moves on instead."""
    made: list[float] = []
    pause = Backoff.pause

    def record(backoff: Backoff, deadline: Deadline) -> float:
        made.append(pause(backoff, deadline))
        return 0.0

    monkeypatch.setattr(Backoff, "pause", record)
    monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic() + sum(made))
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    return made


@pytest.fixture
def last_attempt(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> LastAttempt:
    """Let a pause of the client, counted from 1, leave a moment for the next attempt.

    What comes before that pause has the whole time of the call, and nobody waits for the rest.
    """

    def arrange(number: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        pause = Backoff.pause

        def nearly_all(backoff: Backoff, deadline: Deadline) -> float:
            if len(pauses) == number - 1:
                meanwhile()
                pauses.append((deadline.remaining() or 0.0) - 0.1)
                return 0.0
            return pause(backoff, deadline)

        monkeypatch.setattr(Backoff, "pause", nearly_all)

    return arrange


@pytest.fixture
def at_pause(monkeypatch: pytest.MonkeyPatch) -> AtPause:
    """Call a function before a pause of the client, counted from 1."""

    def arrange(number: int, function: Callable[[], object]) -> None:
        pause = Backoff.pause
        numbers = itertools.count(1)

        def call_first(backoff: Backoff, deadline: Deadline) -> float:
            if next(numbers) == number:
                function()
            return pause(backoff, deadline)

        monkeypatch.setattr(Backoff, "pause", call_first)

    return arrange
