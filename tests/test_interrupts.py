"""Ctrl-C interrupts any call of the blocking client and leaves nothing behind."""

from __future__ import annotations

import _weakrefset
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType

import grpc
import pytest

from agents_sandbox import (
    ClientClosedError,
    ExecState,
    SandboxClientError,
    SandboxHandle,
    SyncAgentsSandboxClient,
    _progress,
    progress,
)
from agents_sandbox._deadline import Backoff
from agents_sandbox.testing import FakeDaemon

from .brief import brief_daemon
from .commands import open_logs
from .examples import PART, PARTS
from .impostor import impostor
from .interrupting import Lines, ctrl_c, join
from .releases import any_release
from .screens import StuckLine, painters

pytestmark = [any_release, pytest.mark.slow]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
NEVER = 3600.0


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    with brief_daemon(release) as running:
        yield running


@pytest.fixture
def maker(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    """A client that is never interrupted."""
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        client.create_sandbox(image=IMAGE, sandbox_id="steady")
        daemon.wait_for_streams(0)
        yield client


@contextmanager
def nothing_left(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    """Yield a client for a call to interrupt, and check what that leaves behind."""
    before = set(threading.enumerate())
    with SyncAgentsSandboxClient(
        daemon.socket_path, timeout_seconds=NEVER, operation_timeout_seconds=NEVER
    ) as client:
        waits: dict[object, float] = {}
        client._daemon.waits = waits  # as `progress` does
        yield client
        assert waits == {}
        # The client still works: it asks for the release, and waits.
        assert client.get_sandbox("steady", timeout_seconds=20).sandbox_id == "steady"
        execution = client.run("steady", ("true",), timeout_seconds=20)
        assert execution.state is ExecState.FINISHED
        daemon.wait_for_streams(0)
        for thread in set(threading.enumerate()) - before:
            if thread.name == "agents-sandbox-events":
                join(thread)
        assert open_logs() == []


def in_call(stack: list[str]) -> bool:
    return "unary" in stack and stack[0] == "pass_through"


def in_step(stack: list[str]) -> bool:
    return "read" in stack and stack[0] == "pass_through"


def in_wait(stack: list[str]) -> bool:
    return "take" in stack[:3]


def in_pause(stack: list[str]) -> bool:
    return "pause" in stack and stack[0] == "acquire"


def at_lock(stack: list[str]) -> bool:
    return "held" in stack[:4]


@pytest.fixture
def endless_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "pause", lambda backoff, deadline: NEVER)


def test_a_call_that_is_not_answered(daemon: FakeDaemon, maker: SyncAgentsSandboxClient) -> None:
    with nothing_left(daemon) as client, daemon.faults.half_open(), ctrl_c(in_call):
        client.ping()


def test_a_call_to_a_daemon_that_stopped_answering(
    daemon: FakeDaemon, maker: SyncAgentsSandboxClient
) -> None:
    with nothing_left(daemon) as client:
        client.ping()
        with daemon.faults.half_open(), ctrl_c(in_call):
            client.create_sandbox(image=IMAGE)


def test_a_call_whose_traceback_is_kept(tmp_path: Path) -> None:
    """An interactive interpreter keeps the last one, and with it gRPC's call."""
    asked, ended = threading.Event(), threading.Event()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(ended.set)
        asked.set()
        ended.wait()
        return b""

    kept: list[KeyboardInterrupt] = []
    with (
        impostor(tmp_path / "agboxd.sock", {"Ping": answer}) as path,
        SyncAgentsSandboxClient(path, timeout_seconds=NEVER) as client,
    ):
        with ctrl_c(lambda stack: asked.is_set() and in_call(stack)):
            try:
                client.ping()
            except KeyboardInterrupt as error:
                kept.append(error)
                raise
        assert ended.wait(timeout=10)


def test_a_wait(daemon: FakeDaemon, maker: SyncAgentsSandboxClient) -> None:
    with nothing_left(daemon) as client, daemon.paused(), ctrl_c(in_wait):
        client.create_sandbox(image=IMAGE)


def test_a_step_of_a_stream(daemon: FakeDaemon, maker: SyncAgentsSandboxClient) -> None:
    with nothing_left(daemon) as client, client.subscribe_sandbox_events("steady") as events:
        seen = [next(events).sequence for _ in range(3)]
        with ctrl_c(in_step):
            next(events)
        maker.run("steady", ("true",))
        assert [*seen, next(events).sequence] == [1, 2, 3, 4]


@pytest.mark.usefixtures("endless_pauses")
def test_a_pause_before_a_call_is_repeated(
    daemon: FakeDaemon, maker: SyncAgentsSandboxClient
) -> None:
    daemon.faults.fail_next("GetSandbox", code="UNAVAILABLE")
    with nothing_left(daemon) as client, ctrl_c(in_pause):
        client.get_sandbox("steady")


@pytest.mark.usefixtures("endless_pauses")
def test_a_pause_before_a_stream_continues(
    daemon: FakeDaemon, maker: SyncAgentsSandboxClient
) -> None:
    with (
        nothing_left(daemon) as client,
        client.subscribe_sandbox_events("steady", from_sequence=2) as events,
    ):
        assert next(events).sequence == 3
        daemon.faults.end_streams()
        with ctrl_c(in_pause):
            next(events)


def test_a_wait_for_the_release_that_another_thread_asks_for(
    daemon: FakeDaemon, maker: SyncAgentsSandboxClient
) -> None:
    asked = sum(call.method == "Ping" for call in daemon.calls)
    with nothing_left(daemon) as client:
        with daemon.faults.delaying(NEVER, method="Ping"):
            asking = threading.Thread(target=client.list_sandboxes)
            asking.start()
            daemon.wait_for_call("Ping", count=asked + 1)
            with ctrl_c(at_lock):
                client.list_sandboxes()
        asking.join()


Use = Callable[[SyncAgentsSandboxClient, SandboxHandle], object]


def three_steps(client: SyncAgentsSandboxClient, sandbox: SandboxHandle) -> None:
    with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        assert [next(events).sequence for _ in range(3)] == [1, 2, 3]


def abandon_a_stream(client: SyncAgentsSandboxClient, sandbox: SandboxHandle) -> None:
    next(client.subscribe_sandbox_events(sandbox.sandbox_id))


def with_callback(client: SyncAgentsSandboxClient, sandbox: SandboxHandle) -> None:
    seen: list[str] = []
    client.run(sandbox.sandbox_id, ("greet",), on_stdout=seen.append)
    assert seen == ["hello"]


def whole_block(client: SyncAgentsSandboxClient, sandbox: SandboxHandle) -> None:
    with client.start_exec(sandbox.sandbox_id, ("greet",)) as process:
        with process.output() as output:
            assert [chunk.text for chunk in output] == ["hello"]
        assert process.exit_code == 0


def left_block(client: SyncAgentsSandboxClient, sandbox: SandboxHandle) -> None:
    with client.start_exec(sandbox.sandbox_id, ("hello",)) as process, process.output() as output:
        assert next(output).text == "hello"


BLOCKS = ("start_exec", "start_exec, running")

CALLS: dict[str, Use] = {
    "ping": lambda c, s: c.ping(),
    "create_sandbox": lambda c, s: c.create_sandbox(image=IMAGE),
    "stop_sandbox": lambda c, s: c.stop_sandbox(s.sandbox_id),
    "delete_sandbox": lambda c, s: c.delete_sandbox(s.sandbox_id),
    "run": lambda c, s: c.run(s.sandbox_id, ("brief",)),
    "wait_for_sandbox": lambda c, s: c.wait_for_sandbox(s),
    "run, callback": with_callback,
    "start_exec": whole_block,
    "start_exec, running": left_block,
    "subscribe_sandbox_events": three_steps,
    "abandon_a_stream": abandon_a_stream,
}


def test_the_callbacks_of_weak_references(
    daemon: FakeDaemon, maker: SyncAgentsSandboxClient
) -> None:
    """They are dropped where a signal handler raises, so the client has none in Python."""

    def interrupt(frame: FrameType, event: str, arg: object) -> None:
        if frame.f_code.co_filename == _weakrefset.__file__:
            raise KeyboardInterrupt

    sandbox = maker.create_sandbox(image=IMAGE)
    with nothing_left(daemon) as client:
        events = client.subscribe_sandbox_events(sandbox.sandbox_id)
        next(events)
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            del events
        finally:
            sys.settrace(before)


# All lines of all calls take half a minute, so only every n-th is tried. A prime makes the lines
# differ from call to call. Set it to 1 after a change of the primitives. Several interpreters share
# them.
STRIDE = 13

# These have many lines in common with the others.
WIDER_STRIDE = {"run, callback": 6 * STRIDE + 1, **dict.fromkeys(BLOCKS, 4 * STRIDE + 1)}


@pytest.mark.parametrize("name", CALLS)
def test_at_any_line(daemon: FakeDaemon, maker: SyncAgentsSandboxClient, name: str) -> None:
    stride = WIDER_STRIDE.get(name, STRIDE)
    for k in count(1 + stride * (PART - 1), stride * PARTS):
        sandbox = maker.create_sandbox(image=IMAGE)
        daemon.wait_for_streams(0)
        lines = Lines(k)
        with nothing_left(daemon) as client:
            lines.run(partial(CALLS[name], client, sandbox))
            left = client.list_active_execs(sandbox_id=sandbox.sandbox_id)
            assert name not in BLOCKS or left == [], lines.place
        if not lines.reached:
            break
    assert k > 40


def test_progress(maker: SyncAgentsSandboxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever line its block is interrupted, nothing goes on to paint."""

    def block() -> None:
        with progress(maker):
            pass

    monkeypatch.setattr(_progress, "_find_line", StuckLine)
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        lines = Lines(k)
        lines.run(block)
        assert maker._daemon.waits is None, lines.place
        for painter in painters():
            join(painter)
    assert k > 20


def test_a_close(daemon: FakeDaemon, maker: SyncAgentsSandboxClient) -> None:
    """At whatever line a close is interrupted, a second close ends everything in progress."""
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        client = SyncAgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=NEVER)
        ended: list[BaseException] = []
        waiting = threading.Thread(target=wait, args=(client, ended))
        waiting.start()
        daemon.wait_for_streams(1)
        lines = Lines(k)
        lines.run(client.close)
        client.close()
        waiting.join(timeout=10)
        assert [type(error) for error in ended] == [ClientClosedError], lines.place
        daemon.wait_for_streams(0)
    assert k > 5


def wait(client: SyncAgentsSandboxClient, ended: list[BaseException]) -> None:
    try:
        client.run("steady", ("sleep",))
    except SandboxClientError as error:
        ended.append(error)
