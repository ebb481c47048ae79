"""The gate that stops background work."""

from __future__ import annotations

import asyncio

from agents_sandbox.testing._time.background import Background


async def test_step_skips_cancelled_work() -> None:
    background = Background()
    done: list[str] = []

    async def work(name: str) -> None:
        await background.pass_gate()
        done.append(name)

    background.hold()
    cancelled = background.spawn(work("cancelled"))
    background.spawn(work("first"))
    background.spawn(work("second"))
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop, not time
    cancelled.cancel()
    await background.let_through(1)
    assert done == ["first"]
    background.release()
    await background.pass_gate()
    assert done == ["first", "second"]


async def test_release_skips_cancelled_work() -> None:
    background = Background()
    background.hold()
    cancelled = background.spawn(background.pass_gate())
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop, not time
    cancelled.cancel()
    background.release()
    await background.aclose()
    assert cancelled.cancelled()


async def test_work_that_arrives_while_the_gate_opens_queues_behind() -> None:
    background = Background()
    done: list[str] = []

    async def work(name: str) -> None:
        await background.pass_gate()
        done.append(name)

    background.hold()
    first = background.spawn(work("first"))
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop, not time
    second = background.spawn(work("second"))
    await asyncio.sleep(0)  # a turn of the loop, not time
    background.release()  # the second arrives in this turn, the first continues in the next
    await asyncio.wait([first, second])
    assert done == ["first", "second"]
