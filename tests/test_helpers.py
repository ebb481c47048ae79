"""The main thread of a blocking program never runs gRPC's own code; its helper threads do."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any
from weakref import ref

import grpc
import pytest

from agents_sandbox import (
    ClientClosedError,
    ExecState,
    InvalidArgumentError,
    SandboxState,
    SyncAgentsSandboxClient,
)
from agents_sandbox._blocking import Channel, calls, helpers
from agents_sandbox._blocking.locks import closed_gate
from agents_sandbox._connection.rpc import CallError
from agents_sandbox._surroundings import forks
from agents_sandbox._surroundings.forks import MUTEX
from agents_sandbox._wire.methods import PING, SUBSCRIBE_SANDBOX_EVENTS
from agents_sandbox.testing import FakeDaemon

from ._blocking import Background, stop_background
from .interrupting import GRPC, ctrl_c, join
from .releases import any_release, each_dialect

pytestmark = any_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
# How the names of the client's threads begin.
THREAD, HELPER = "agents-sandbox-", "agents-sandbox-helper"


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    daemon.on_exec(("sleep",)).never()
    with SyncAgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


def client_threads(name: str = HELPER) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def live(daemon: FakeDaemon) -> None:
    """Use every kind of call, and every way in which one ends."""
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        box = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(box, ("true",)).state is ExecState.FINISHED
        with client.subscribe_sandbox_events(box) as events:
            assert [next(events).sequence for _ in range(3)] == [1, 2, 3]
        next(client.subscribe_sandbox_events(box))  # nothing refers to the stream any more
        with pytest.raises(InvalidArgumentError):
            client.create_sandbox(image=IMAGE, sandbox_id="-")
        with pytest.raises(Exception, match="not found"):
            client.get_sandbox("nothing")
        with pytest.raises(Exception, match="not found"):
            next(client.subscribe_sandbox_events("nothing"))
        daemon.faults.fail_next("GetSandbox", code="UNAVAILABLE")
        assert client.delete_sandbox(box).state is SandboxState.DELETED


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_main_thread_never_runs_code_of_grpc(daemon: FakeDaemon) -> None:
    entered: set[str] = set()

    def enter(frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if code.co_filename.startswith(GRPC):
            entered.add(f"{code.co_filename}:{frame.f_lineno} {code.co_name}")

    gc.collect()  # what other tests have left
    before = sys.gettrace()
    sys.settrace(enter)
    try:
        live(daemon)
        SyncAgentsSandboxClient(daemon.socket_path).ping()  # it is not closed
        gc.collect()
    finally:
        sys.settrace(before)
    assert entered == set()


@contextmanager
def signal_after(event: Callable[[], object], handle: Callable[[], object]) -> Iterator[None]:
    """Handle a signal in the main thread, which waits in the block, once an event has happened."""

    def send() -> None:
        event()
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: handle())
    try:
        sending = Background(send)
        yield
        sending.result()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_uses_the_client_during_a_wait(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    box = client.create_sandbox(image=IMAGE).sandbox_id
    with signal_after(
        lambda: daemon.wait_for_call("GetExec"), lambda: client.cancel_exec("my-exec")
    ):
        ended = client.run(box, ("sleep",), exec_id="my-exec")
    assert ended.state is ExecState.CANCELLED


def test_a_signal_handler_uses_the_client_during_a_call(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.ping()
    with ExitStack() as delay:
        delay.enter_context(daemon.faults.delaying(3600, method="ListSandboxes"))

        def end_delay() -> None:
            client.ping()
            delay.close()

        with signal_after(lambda: daemon.wait_for_call("ListSandboxes"), end_delay):
            assert client.list_sandboxes() == []


def test_a_signal_handler_closes_the_client_during_a_call(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.ping()
    with (
        daemon.faults.delaying(3600, method="ListSandboxes"),
        signal_after(lambda: daemon.wait_for_call("ListSandboxes"), client.close),
        pytest.raises(ClientClosedError),
    ):
        client.list_sandboxes()


def test_a_signal_handler_may_use_the_client_at_any_moment(
    client: SyncAgentsSandboxClient,
) -> None:
    # Also while the main thread holds the mutex that all clients share.
    with MUTEX:
        client.ping()
        box = client.create_sandbox(image=IMAGE, wait=False).sandbox_id
        with client.subscribe_sandbox_events(box) as events:
            next(events)
        client.close()


def test_a_call_that_was_interrupted_before_it_began_is_never_made(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(function: object, name: str) -> bool:
        raise KeyboardInterrupt

    with SyncAgentsSandboxClient(daemon.socket_path, daemon_version=daemon.version) as client:
        with monkeypatch.context() as patch:
            patch.setattr(helpers, "start_thread", interrupt)
            with pytest.raises(KeyboardInterrupt):
                client.create_sandbox(image=IMAGE)
            with pytest.raises(KeyboardInterrupt):
                next(client.subscribe_sandbox_events("box-1"))
        assert client.list_sandboxes() == []
    assert [call.method for call in daemon.calls] == ["ListSandboxes"]


def test_a_close_that_is_interrupted_continues(daemon: FakeDaemon) -> None:
    client = SyncAgentsSandboxClient(daemon.socket_path)
    before = set(calls._open)
    events = client.subscribe_sandbox_events(client.create_sandbox(image=IMAGE).sandbox_id)
    next(events)
    (connection,) = calls._open - before
    held, interrupted = threading.Event(), threading.Event()

    def hold() -> None:
        with connection._lock:
            held.set()
            interrupted.wait()

    holding = Background(hold)
    held.wait()
    with ctrl_c(lambda stack: "close" in stack and stack[0] == "pass_through"):
        client.close()
    interrupted.set()
    holding.result()
    daemon.wait_for_streams(0)
    client.close()


def test_helpers_are_few_and_end_with_the_client(daemon: FakeDaemon) -> None:
    before = client_threads()
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        for _ in range(50):
            client.ping()
        fresh = [thread for thread in client_threads() if thread not in before]
        # One makes the calls and one would cancel them. The next call can begin before those two
        # are idle.
        assert len(fresh) in (2, 3)
    for thread in fresh:
        join(thread)


def test_helpers_that_are_no_longer_needed_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "_MOMENT_SECONDS", 0.0)  # the work cannot end so early
    some, together, ended = helpers.Helpers(), threading.Barrier(6), threading.Semaphore(0)

    def watch(thread: threading.Thread) -> None:
        thread.join()
        ended.release()

    def work() -> None:
        together.wait()
        Background(watch, threading.current_thread())

    for _ in range(5):
        some.hand_over(work)
    together.wait()
    try:
        assert ended.acquire(timeout=10)
    finally:
        some.end()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_helpers_end_with_a_client_that_nothing_refers_to(daemon: FakeDaemon) -> None:
    before = client_threads(THREAD)
    client = SyncAgentsSandboxClient(daemon.socket_path)
    next(client.subscribe_sandbox_events(client.create_sandbox(image=IMAGE).sandbox_id))
    # Also those that read events: whichever refers to the client last warns, after the helpers were
    # told to end, that it was not closed. The test ignores this only as long as it lasts.
    fresh = [thread for thread in client_threads(THREAD) if thread not in before]
    del client
    gc.collect()
    daemon.wait_for_streams(0)
    for thread in fresh:
        join(thread)


def test_what_a_thread_runs_is_gone_when_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started, resumed = threading.Thread.start, threading.Event()
    threads: list[threading.Thread] = []

    def start_slowly(thread: threading.Thread) -> None:
        threads.append(thread)
        started(thread)
        resumed.wait()

    def work() -> None:
        done.release()

    monkeypatch.setattr(threading.Thread, "start", start_slowly)
    done, gone = closed_gate(), ref(work)
    assert helpers.start_thread(work, HELPER)
    del work
    done.acquire()
    join(threads[0])
    assert gone() is None
    resumed.set()


def test_threads_share_a_channel_until_the_client_is_closed(daemon: FakeDaemon) -> None:
    connection = calls.Connection(f"unix:{daemon.socket_path}")
    shared = connection._share()
    assert connection._share() is shared
    shared.close()
    with pytest.raises(ValueError, match="closed channel"):  # nobody but the client closes it
        connection.unary(PING.path, b"", 5.0)
    connection.close()
    connection._shared = shared  # another thread took it just before
    outcome = connection.unary(PING.path, b"", 5.0)
    assert isinstance(outcome, CallError)
    assert outcome.code() is grpc.StatusCode.CANCELLED
    connection._shared = None
    with pytest.raises(ClientClosedError):
        connection.unary(PING.path, b"", 5.0)


@pytest.mark.parametrize("in_main", [True, False])
def test_no_channel_of_grpc_is_finalized_in_the_main_thread(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, in_main: bool
) -> None:
    finalized: list[threading.Thread] = []
    kind: Any = type(grpc.insecure_channel("unix:nowhere"))
    finalize = kind.__del__

    def note(channel: grpc.Channel) -> None:
        finalized.append(threading.current_thread())
        finalize(channel)

    client = SyncAgentsSandboxClient(daemon.socket_path)
    monkeypatch.setattr(kind, "__del__", note)
    client.ping() if in_main else Background(client.ping).result()
    client.close()
    del client
    gc.collect()
    assert finalized
    assert threading.main_thread() not in finalized


def test_a_stream_has_ended_when_its_close_returns(client: SyncAgentsSandboxClient) -> None:
    before = set(calls._open)
    box = client.create_sandbox(image=IMAGE, wait=False).sandbox_id
    (connection,) = calls._open - before
    events = client.subscribe_sandbox_events(box)
    next(events)
    assert [type(call) for call in connection._calls] == [calls.StreamCall]
    events.close()
    assert not connection._calls


def test_a_cancelled_stream_is_at_its_end(daemon: FakeDaemon) -> None:
    channel = Channel(lambda: f"unix:{daemon.socket_path}")
    stream = channel.stream(SUBSCRIBE_SANDBOX_EVENTS.path, b"", None)
    stream.cancel()
    assert stream.read() is None
    channel.close()
    assert daemon.calls == ()


def test_a_stream_of_another_thread_ends_when_the_main_thread_drops_it(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    streams: list[Any] = []

    def subscribe() -> None:
        box = client.create_sandbox(image=IMAGE).sandbox_id
        streams.append(client.subscribe_sandbox_events(box))
        next(streams[0])

    Background(subscribe).result()
    daemon.wait_for_streams(1)
    streams.clear()
    daemon.wait_for_streams(0)


def test_other_threads_make_calls_while_the_main_thread_holds_the_mutex(
    client: SyncAgentsSandboxClient,
) -> None:
    """A signal handler may run then, and wait for them."""
    client.ping()
    with MUTEX:
        assert Background(client.ping).result().daemon == "agboxd"


def test_a_connection_that_another_thread_has_just_made_is_used(
    client: SyncAgentsSandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = client._daemon._transport._channel
    connection = channel._connect()
    looks = iter([False, True])  # the second one is with the mutex
    with monkeypatch.context() as patch:
        patch.setattr(calls.Connection, "usable", lambda _: next(looks))
        assert channel._connect() is connection


def test_a_connection_that_was_closed_makes_no_call() -> None:
    connection = calls.Connection("unix:///nowhere")
    connection.close()
    with pytest.raises(ClientClosedError, match="closed during the call"):
        connection.take(calls.UnaryCall(connection, "/service/Method", b"", None))


def test_after_the_end_of_the_helpers_work_is_not_done_in_the_main_thread() -> None:
    """As in a second close, after an interrupted one."""
    ended = helpers.Helpers()
    ended.run(int)
    ended.end()
    assert ended.run(threading.current_thread) is not threading.main_thread()


def test_a_thread_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    done = threading.Event()
    thread = threading.Thread(target=done.set)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread exists from now on
        monkeypatch.setattr(helpers, "start_new_thread", refuse)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert not helpers.start_thread(done.set, HELPER)
        assert not pool.submit(helpers.start_thread, done.set, HELPER).result()
        assert not done.is_set()
        # The thread that would start it does its work instead.
        helpers._start(thread)
        assert done.is_set()


@each_dialect
def test_without_helpers_the_main_thread_does_all_itself(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    stop_background(monkeypatch)
    live(daemon)
    assert threading.active_count() == before
    daemon.wait_for_streams(0)


def test_without_helpers_a_call_can_be_interrupted(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = len(forks._kept)
    stop_background(monkeypatch)
    box = client.create_sandbox(image=IMAGE).sandbox_id
    with (
        daemon.faults.half_open(),
        ctrl_c(lambda stack: "answer" in stack and stack[0] == "_blocking"),
    ):
        client.ping(timeout_seconds=3600)
    with client.subscribe_sandbox_events(box) as events:
        seen = [next(events).sequence for _ in range(3)]
        with ctrl_c(lambda stack: "read" in stack and stack[0] == "_consume_next_event"):
            next(events)
        client.run(box, ("true",))
        assert [*seen, next(events).sequence] == [1, 2, 3, 4]
    daemon.wait_for_streams(0)
    del forks._kept[kept:]  # gRPC complains about streams that are finalized with its module
    gc.collect()  # here: the main thread holds their locks, and another one would wait for ever


@pytest.fixture
def destroy_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """Make the client believe that the interpreter destroys its modules."""
    before = set(calls._open)
    exiting = SimpleNamespace(is_finalizing=lambda: True)
    with monkeypatch.context() as patch:
        yield lambda: (
            patch.setattr(calls, "sys", exiting),
            patch.setattr(helpers, "sys", exiting),
        )
    for connection in calls._open - before:
        connection.close()


def test_no_call_is_made_while_the_interpreter_destroys_its_modules(
    daemon: FakeDaemon, destroy_modules: Callable[[], object]
) -> None:
    client = SyncAgentsSandboxClient(daemon.socket_path)
    events = client.subscribe_sandbox_events(client.create_sandbox(image=IMAGE).sandbox_id)
    next(events)
    destroy_modules()
    for call in (client.ping, partial(next, events)):
        with pytest.raises(ClientClosedError, match="atexit"):
            call()
    events.close()
    client.close()
    with pytest.raises(ClientClosedError, match="closed"):
        client.ping()


def test_a_client_that_is_destroyed_with_its_module_warns(
    daemon: FakeDaemon, destroy_modules: Callable[[], object]
) -> None:
    clients = [SyncAgentsSandboxClient(daemon.socket_path)]
    clients[0].ping()
    destroy_modules()
    with pytest.warns(ResourceWarning):
        clients.clear()


SPAN: ContextVar[str] = ContextVar("SPAN", default="none")


class Traced:
    """A channel whose calls note in which context they run, as libraries for tracing do.

    Args:
        channel: The channel.
        spans: Receives the span of each call.
    """

    def __init__(self, channel: grpc.Channel, spans: list[str]) -> None:
        self._channel = channel
        self._spans = spans
        self.unary_stream = channel.unary_stream
        self.close = channel.close

    def unary_unary(self, path: str) -> Callable[..., bytes]:
        """Return a call that notes its span."""

        def call(request: bytes, timeout: float | None, metadata: object) -> bytes:
            self._spans.append(SPAN.get())
            method: Callable[..., bytes] = self._channel.unary_unary(path)
            return method(request, timeout=timeout, metadata=metadata)

        return call


def test_calls_run_in_the_context_of_their_caller(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[str] = []
    channel = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda *a, **k: Traced(channel(*a, **k), spans))
    SPAN.set("mine")
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        client.ping()
        Background(client.ping).result()
    assert spans == ["mine", "none"]


def test_an_error_of_an_interceptor_comes_out_and_leaves_nothing_behind(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spans(list[str]):
        def append(self, span: str) -> None:
            raise LookupError("no span")

    channel, kept = grpc.insecure_channel, len(forks._kept)
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        with monkeypatch.context() as patch:
            patch.setattr(
                grpc, "insecure_channel", lambda *a, **k: Traced(channel(*a, **k), Spans())
            )
            with pytest.raises(LookupError):
                client.ping()
        client.ping()
        assert len(forks._kept) == kept


def test_a_call_that_begins_while_the_client_is_closed(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spans(list[str]):
        def append(self, span: str) -> None:
            Background(closing.close).result()

    channel = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda *a, **k: Traced(channel(*a, **k), Spans()))
    closing = SyncAgentsSandboxClient(daemon.socket_path)
    with pytest.raises(ClientClosedError, match="during the call"):
        closing.ping()


SOCKETS = Path("/proc/net/unix")


def connections(daemon: FakeDaemon) -> int:
    """Return the number of connections that a daemon has."""
    folder = str(Path(daemon.socket_path).parent)
    listening = 1
    return sum(folder in line for line in SOCKETS.read_text().splitlines()) - listening


@pytest.mark.skipif(not SOCKETS.exists(), reason=f"it counts connections in {SOCKETS}")
def test_all_calls_of_a_client_share_a_connection_and_clients_do_not(daemon: FakeDaemon) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        box = client.create_sandbox(image=IMAGE).sandbox_id
        streams = [client.subscribe_sandbox_events(box) for _ in range(8)]
        for stream in streams:
            next(stream)
        assert connections(daemon) == 1
        with SyncAgentsSandboxClient(daemon.socket_path) as another:
            another.ping()
            assert connections(daemon) == 2
        for stream in streams:
            stream.close()


STREAMS = """
import resource, sys
from agents_sandbox import SyncAgentsSandboxClient

def peak():
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024

def use(number):
    for _ in range(number):
        with client.subscribe_sandbox_events(sys.argv[2]) as events:
            next(events)

with SyncAgentsSandboxClient(sys.argv[1]) as client:
    use(50)
    before = peak()
    use(400)
    print(peak() - before)
"""


@pytest.mark.unmeasured
def test_a_stream_leaves_no_memory_behind(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    box = client.create_sandbox(image=IMAGE).sandbox_id
    command = (sys.executable, "-W", "error", "-c", STREAMS, daemon.socket_path, box)
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    # gRPC keeps 21 kB of each stream whose end is not read: 8 MB.
    assert int(said.stdout) < 3_000_000
