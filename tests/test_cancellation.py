"""A call that is cancelled at any await of any method leaves no stream, task or lock behind."""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from itertools import count
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ClientClosedError,
    ExecState,
    SandboxHandle,
    _deadline,
)
from agents_sandbox._wire.methods import METHODS_V02
from agents_sandbox.testing import FakeDaemon

from .brief import brief_daemon
from .cancelling import Suspensions
from .commands import open_logs
from .examples import PART, PARTS, share
from .releases import NEWEST, any_release, each_dialect

pytestmark = [each_dialect, pytest.mark.slow]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

Make = Callable[[AgentsSandboxClient], Awaitable[SandboxHandle]]
Use = Callable[[AgentsSandboxClient, SandboxHandle], Awaitable[object]]


async def ready(client: AgentsSandboxClient) -> SandboxHandle:
    return await client.create_sandbox(image=IMAGE, labels={"for": "test"})


async def stopped(client: AgentsSandboxClient) -> SandboxHandle:
    return await client.stop_sandbox((await ready(client)).sandbox_id)


async def brief_exec(client: AgentsSandboxClient) -> SandboxHandle:
    """Make a sandbox and an exec with the same id; the exec ends after a moment."""
    handle = await ready(client)
    await client.create_exec(handle.sandbox_id, ("brief",), exec_id=handle.sandbox_id)
    return handle


async def running(client: AgentsSandboxClient) -> SandboxHandle:
    """Make a sandbox and an exec with the same id; the exec does not end by itself."""
    handle = await ready(client)
    await client.create_exec(handle.sandbox_id, ("sleep",), exec_id=handle.sandbox_id)
    return handle


async def three_steps(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        assert [(await anext(events)).sequence for _ in range(3)] == [1, 2, 3]


async def with_callback(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    seen: list[str] = []
    await client.run(sandbox.sandbox_id, ("greet",), on_stdout=seen.append)
    assert seen == ["hello"]


async def whole_block(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    async with client.start_exec(sandbox.sandbox_id, ("greet",)) as process:
        async with process.output() as output:
            assert [chunk.text async for chunk in output] == ["hello"]
        assert process.exit_code == 0


async def left_block(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    async with (
        client.start_exec(sandbox.sandbox_id, ("hello",)) as process,
        process.output() as output,
    ):
        assert (await anext(output)).text == "hello"


# Each way to use each method, and the function that makes its sandbox.
CALLS: dict[str, tuple[Make, Use]] = {
    "ping": (ready, lambda c, s: c.ping()),
    "create_sandbox": (ready, lambda c, s: c.create_sandbox(image=IMAGE)),
    "create_sandbox, no wait": (ready, lambda c, s: c.create_sandbox(image=IMAGE, wait=False)),
    "get_sandbox": (ready, lambda c, s: c.get_sandbox(s.sandbox_id)),
    "list_sandboxes": (ready, lambda c, s: c.list_sandboxes()),
    "wait_for_sandbox": (ready, lambda c, s: c.wait_for_sandbox(s)),
    "resume_sandbox": (stopped, lambda c, s: c.resume_sandbox(s.sandbox_id)),
    "resume_sandbox, no wait": (stopped, lambda c, s: c.resume_sandbox(s.sandbox_id, wait=False)),
    "stop_sandbox": (ready, lambda c, s: c.stop_sandbox(s.sandbox_id)),
    "stop_sandbox, no wait": (ready, lambda c, s: c.stop_sandbox(s.sandbox_id, wait=False)),
    "delete_sandbox": (ready, lambda c, s: c.delete_sandbox(s.sandbox_id)),
    "delete_sandbox, no wait": (ready, lambda c, s: c.delete_sandbox(s.sandbox_id, wait=False)),
    "delete_sandboxes": (ready, lambda c, s: c.delete_sandboxes(s.labels)),
    "delete_sandboxes, no wait": (ready, lambda c, s: c.delete_sandboxes(s.labels, wait=False)),
    "delete_leftovers": (ready, lambda c, s: c.delete_leftovers(s.labels, older_than=0)),
    "create_exec": (ready, lambda c, s: c.create_exec(s.sandbox_id, ("true",))),
    "create_exec, wait": (ready, lambda c, s: c.create_exec(s.sandbox_id, ("brief",), wait=True)),
    "run": (ready, lambda c, s: c.run(s.sandbox_id, ("brief",))),
    "wait_for_exec": (brief_exec, lambda c, s: c.wait_for_exec(s.sandbox_id)),
    "run, callback": (ready, with_callback),
    "start_exec": (ready, whole_block),
    "start_exec, running": (ready, left_block),
    "cancel_exec": (running, lambda c, s: c.cancel_exec(s.sandbox_id)),
    "cancel_exec, no wait": (running, lambda c, s: c.cancel_exec(s.sandbox_id, wait=False)),
    "cancel_exec, kill": (running, lambda c, s: c.cancel_exec(s.sandbox_id, kill=True)),
    "get_exec": (running, lambda c, s: c.get_exec(s.sandbox_id)),
    "list_active_execs": (ready, lambda c, s: c.list_active_execs()),
    "subscribe_sandbox_events": (ready, three_steps),
}
# If these are refused, they may have taken effect: after a lost connection they are not retried.
NOT_RETRIED = ("resume_sandbox", "stop_sandbox", "delete_sandboxes")
BLOCKS = ("start_exec", "start_exec, running")

every_call = pytest.mark.parametrize("name", CALLS)
every_retried_call = pytest.mark.parametrize(
    "name", [name for name in CALLS if not name.startswith(NOT_RETRIED)]
)
# These may read an event stream together with another wait.
every_shared_call = pytest.mark.parametrize(
    "name",
    [
        "stop_sandbox",
        "delete_sandbox",
        "delete_sandboxes",
        "create_exec, wait",
        "run",
        "wait_for_exec",
        "start_exec",
        "cancel_exec",
        "subscribe_sandbox_events",
    ],
)


@any_release
def test_no_method_is_forgotten(daemon: FakeDaemon) -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(AgentsSandboxClient, inspect.isfunction)
        if not name.startswith("_")
    }
    without_io = {"attach", "attach_exec", "sandbox", "scope", "pool"}
    assert methods == {name.partition(",")[0] for name in CALLS} | {"aclose"} | without_io


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    with brief_daemon(release) as running:
        yield running


@pytest.fixture
async def maker(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    """A client that is never cancelled; it makes the sandboxes for the cancelled calls."""
    async with AgentsSandboxClient(daemon.socket_path) as client:
        await client.create_sandbox(image=IMAGE, sandbox_id="steady")
        yield client


@asynccontextmanager
async def nothing_left(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    """Yield a client for a call to cancel, and check what that leaves behind."""
    await asyncio.to_thread(daemon.wait_for_streams, 0)
    tasks = asyncio.all_tasks()
    async with AgentsSandboxClient(daemon.socket_path) as client:
        yield client
        # The client still works: it asks for the release, and waits.
        assert (await client.get_sandbox("steady")).sandbox_id == "steady"
        assert (await client.run("steady", ("true",))).state is ExecState.FINISHED
        await asyncio.to_thread(daemon.wait_for_streams, 0)
        await no_tasks_left(tasks)
        assert open_logs() == []


async def no_tasks_left(before: set[asyncio.Task[Any]]) -> None:
    """Check that no new tasks are left; tasks that were cancelled may need a moment to end."""
    left = asyncio.all_tasks() - before
    if left:
        _, left = await asyncio.wait(left, timeout=10)
    assert not left


Beside = Callable[[AgentsSandboxClient, SandboxHandle], AbstractAsyncContextManager[None]]
Trouble = Callable[[FakeDaemon], AbstractContextManager[object]]


@asynccontextmanager
async def nothing_else(client: AgentsSandboxClient, sandbox: SandboxHandle) -> AsyncIterator[None]:
    yield


async def cancel_everywhere(
    daemon: FakeDaemon,
    maker: AgentsSandboxClient,
    name: str,
    *,
    times: int = 1,
    late: bool = False,
    beside: Beside = nothing_else,
    trouble: Trouble = nullcontext,
    stride: int = 1,
) -> None:
    """Cancel a call at its first suspension, at its second, and so on, until there are no more.

    Args:
        daemon: The daemon.
        maker: Makes the sandboxes.
        name: The call.
        times: How often to cancel, at each suspension from then on.
        late: See `Suspensions`.
        beside: What else the client does.
        trouble: What goes wrong during the call.
        stride: 2 means only every second suspension, and so on.

    Several interpreters share the suspensions.
    """
    make, use = CALLS[name]
    for k in count(1 + stride * (PART - 1), stride * PARTS):
        sandbox = await make(maker)
        suspensions = Suspensions(k, late=late, again_after=[1] * (times - 1))
        async with nothing_left(daemon) as client, beside(client, sandbox):
            with trouble(daemon):
                await suspensions.run(call(use, client, sandbox))
            assert name not in BLOCKS or await left(client, sandbox) == []
        if not suspensions.reached:
            break
    assert suspensions.seen


async def left(client: AgentsSandboxClient, sandbox: SandboxHandle) -> list[tuple[str, ...]]:
    """The commands that are running, but for that of `beside`."""
    execs = await client.list_active_execs(sandbox_id=sandbox.sandbox_id)
    return [handle.command for handle in execs if handle.command != ("sleep",)]


async def call(use: Use, client: AgentsSandboxClient, sandbox: SandboxHandle) -> object:
    return await use(client, sandbox)


@pytest.mark.releases("0.2.1", NEWEST, everywhere=True)
@every_call
async def test_a_cancelled_call_leaves_nothing_behind(
    daemon: FakeDaemon, maker: AgentsSandboxClient, name: str
) -> None:
    await cancel_everywhere(daemon, maker, name)


@any_release
@every_call
async def test_a_call_that_is_cancelled_with_its_answer_leaves_nothing_behind(
    daemon: FakeDaemon, maker: AgentsSandboxClient, name: str
) -> None:
    await cancel_everywhere(daemon, maker, name, late=True)


@any_release
@every_shared_call
async def test_a_cancelled_call_does_not_disturb_another_wait(
    daemon: FakeDaemon, maker: AgentsSandboxClient, name: str
) -> None:
    @asynccontextmanager
    async def wait(client: AgentsSandboxClient, sandbox: SandboxHandle) -> AsyncIterator[None]:
        waiting = asyncio.ensure_future(client.run(sandbox.sandbox_id, ("sleep",)))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        before = subscriptions(daemon, sandbox)
        yield
        if name in ("create_exec, wait", "run", "cancel_exec"):
            assert subscriptions(daemon, sandbox) == before, "they share one"
            await asyncio.to_thread(daemon.wait_for_streams, 1)
        await maker.delete_sandbox(sandbox.sandbox_id)
        assert (await waiting).state is ExecState.FAILED

    await cancel_everywhere(daemon, maker, name, beside=wait)


@any_release
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
async def test_a_block_that_is_cancelled_again_and_again_ends_its_command(
    daemon: FakeDaemon, maker: AgentsSandboxClient, name: str, late: bool
) -> None:
    await cancel_everywhere(daemon, maker, name, times=4, late=late)


@any_release
@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_step_of_output_loses_nothing(
    daemon: FakeDaemon, maker: AgentsSandboxClient, late: bool
) -> None:
    sandbox = await ready(maker)
    seen: list[str] = []
    async with nothing_left(daemon) as client:
        process = await client.start_exec(sandbox.sandbox_id, ("greet",)).begin()
        output = process.output()

        async def next_text() -> None:
            seen.append((await anext(output)).text)

        for k in count(1):
            suspensions = Suspensions(k, late=late)
            try:
                await suspensions.run(next_text())
            except StopAsyncIteration:
                break
    assert seen == ["hello"]


def subscriptions(daemon: FakeDaemon, sandbox: SandboxHandle) -> int:
    return sum(
        recorded.method == "SubscribeSandboxEvents"
        and recorded.request.sandbox_id == sandbox.sandbox_id
        for recorded in daemon.calls
    )


@any_release
@pytest.mark.usefixtures("no_pauses")
@every_retried_call
async def test_a_call_that_is_cancelled_in_trouble_leaves_nothing_behind(
    daemon: FakeDaemon, maker: AgentsSandboxClient, name: str
) -> None:
    # There are up to forty suspensions, and every second one is a pause or similar. Set it to 1
    # after a change of how troubles are handled.
    await cancel_everywhere(daemon, maker, name, trouble=each_method_fails_once, stride=3)


@contextmanager
def each_method_fails_once(daemon: FakeDaemon) -> Iterator[None]:
    """Make the first call of each method fail, and the first streams break in the middle."""
    with ExitStack() as faults:
        faults.enter_context(daemon.faults.dropping_streams(after=1, times=2))
        for method in METHODS_V02:
            faults.enter_context(daemon.faults.failing(method=method.name, times=1))
        yield


@any_release
@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("name", ["get_sandbox", "create_sandbox", "subscribe_sandbox_events"])
async def test_a_call_can_be_cancelled_while_the_daemon_is_unavailable(
    daemon: FakeDaemon, maker: AgentsSandboxClient, name: str
) -> None:
    use = CALLS[name][1]
    sandbox = await ready(maker)
    for k in share(range(1, 9)):
        suspensions = Suspensions(k)
        async with nothing_left(daemon) as client:
            await client.ping()  # otherwise it would not wait for a daemon that was never available
            with daemon.down():
                await suspensions.run(call(use, client, sandbox))
        assert suspensions.cancelled


async def fourth_step(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        for _ in range(4):
            await anext(events)


async def endless_run(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    await client.run(sandbox.sandbox_id, ("sleep",), timeout_seconds=math.inf)


@any_release
@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("use", [endless_run, fourth_step])
async def test_a_wait_can_be_cancelled_while_the_daemon_is_unavailable(
    daemon: FakeDaemon, maker: AgentsSandboxClient, use: Use
) -> None:
    """The stream is lost in the middle, and its reader tries to reconnect."""
    for k in share(range(1, 9)):
        sandbox = await ready(maker)
        suspensions = Suspensions(100)
        async with nothing_left(daemon) as client:
            await client.ping()  # otherwise it would not wait for a daemon that was never available
            running = asyncio.ensure_future(suspensions.run(call(use, client, sandbox)))
            await asyncio.to_thread(daemon.wait_for_streams, 1)
            suspensions.cancel_after(k)
            with daemon.down():
                await running
        assert suspensions.cancelled


@any_release
@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("use", [endless_run, fourth_step])
async def test_a_wait_can_be_cancelled_while_the_daemon_is_silent(
    daemon: FakeDaemon, maker: AgentsSandboxClient, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    monkeypatch.setattr(_deadline, "SILENCE_SECONDS", 0.001)
    for k in share(range(1, 9)):
        sandbox = await ready(maker)
        suspensions = Suspensions(k)
        async with nothing_left(daemon) as client:
            await suspensions.run(call(use, client, sandbox))
        assert suspensions.cancelled


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_close_has_closed(
    daemon: FakeDaemon, maker: AgentsSandboxClient, late: bool
) -> None:
    for k in count(1):
        tasks = asyncio.all_tasks()
        client = AgentsSandboxClient(daemon.socket_path)
        waiting = asyncio.ensure_future(client.run("steady", ("sleep",)))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        suspensions = Suspensions(k, late=late)
        await suspensions.run(client.aclose())
        for use in (client.ping(), waiting):
            with pytest.raises(ClientClosedError):
                await use
        await client.aclose()
        await asyncio.to_thread(daemon.wait_for_streams, 0)
        await no_tasks_left(tasks)
        if not suspensions.reached:
            break  # it may not suspend at all


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes before")
async def test_a_cancelled_create_says_what_it_leaves_behind() -> None:
    with FakeDaemon(ready_delay=60) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            creating = asyncio.ensure_future(client.create_sandbox(image=IMAGE))
            await asyncio.to_thread(daemon.wait_for_streams, 1)
            creating.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await creating
            (left,) = await client.list_sandboxes()
            note = f"sandbox {left.sandbox_id} exists: delete it with delete_sandbox"
            assert notes(caught.value) == [note]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes before")
async def test_a_cancelled_run_says_what_it_leaves_behind() -> None:
    with FakeDaemon() as daemon:
        daemon.on_exec(("train",)).never()
        async with AgentsSandboxClient(daemon.socket_path) as client:
            sandbox = await client.create_sandbox(image=IMAGE)
            await asyncio.to_thread(daemon.wait_for_streams, 0)
            running = asyncio.ensure_future(client.run(sandbox.sandbox_id, ("train",)))
            await asyncio.to_thread(daemon.wait_for_streams, 1)
            running.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await running
            (left,) = await client.list_active_execs()
            note = f"exec {left.exec_id} may still be running: end it with cancel_exec(kill=True)"
            assert notes(caught.value) == [note]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes before")
@pytest.mark.parametrize("method", ["create_sandbox", "run"])
async def test_a_cancelled_request_says_what_it_may_leave_behind(method: str) -> None:
    with FakeDaemon() as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            sandbox = await client.create_sandbox(image=IMAGE)
            call = (
                client.run(sandbox.sandbox_id, ("true",))
                if method == "run"
                else client.create_sandbox(image=IMAGE)
            )
            rpc, count = ("CreateExec", 1) if method == "run" else ("CreateSandbox", 2)
            with daemon.faults.delaying(60, method=rpc):
                calling = asyncio.ensure_future(call)
                await asyncio.to_thread(daemon.wait_for_call, rpc, count=count)
                calling.cancel()
                with pytest.raises(asyncio.CancelledError) as caught:
                    await calling
            request = [item.request for item in daemon.calls if item.method == rpc][-1]
            (note,) = notes(caught.value)
            made = request.exec_id if method == "run" else request.sandbox_id
            assert made in note


def notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
