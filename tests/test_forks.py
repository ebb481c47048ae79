"""A client works in a forked child or says what to do, and does not disturb the parent's client."""

from __future__ import annotations

import grpc
import pytest

from agents_sandbox.testing import FakeDaemon

from .forking import run
from .releases import any_release

pytestmark = [any_release, pytest.mark.slow]

forks_under_way = pytest.mark.skipif(
    tuple(map(int, grpc.__version__.split(".")[:2])) < (1, 80),
    reason="older gRPC crashes in the parent or the child after a fork with calls in progress",
)

# On top of a fork, multiprocessing does much the same in every interpreter.
both_ways = pytest.mark.parametrize(
    "how",
    [
        "fork",
        pytest.param("multiprocessing", marks=[pytest.mark.once, pytest.mark.unmeasured]),
    ],
)


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    daemon.on_exec(("sleep",)).never()
    return daemon


@forks_under_way
@both_ways
def test_a_blocking_client_works_in_both_processes(daemon: FakeDaemon, how: str) -> None:
    program = """
    client = SyncAgentsSandboxClient(socket)
    sandbox_id = client.create_sandbox(image="a:1").sandbox_id

    def use():
        state = client.run(sandbox_id, ("true",)).state.name
        with client.subscribe_sandbox_events(sandbox_id) as events:
            sequence = next(events).sequence
        client.close()
        return state, sequence, told(client.ping)

    print(in_child(use))
    print(client.run(sandbox_id, ("true",)).state.name)
    client.close()
    """
    assert run(program, daemon.socket_path, how) == [
        "('FINISHED', 1, 'ClientClosedError: the client is closed: create a new one')",
        "FINISHED",
    ]


# The child makes no calls: after a fork during a stream, gRPC sometimes crashes in the child, in
# every current release: "Other threads are currently calling into gRPC, skipping fork() handlers".
@forks_under_way
@both_ways
def test_a_child_does_not_disturb_the_waits_of_its_parent(daemon: FakeDaemon, how: str) -> None:
    program = """
    client = SyncAgentsSandboxClient(socket)
    sandbox_id = client.create_sandbox(image="a:1").sandbox_id
    states = []
    waiting = threading.Thread(
        target=lambda: states.append(client.run(sandbox_id, ("sleep",)).state.name)
    )
    events = client.subscribe_sandbox_events(sandbox_id)
    next(events)
    waiting.start()
    while next(events).sequence < 4:  # until the exec runs
        pass
    wait_until_in("take", waiting)

    def drop():
        global events, client
        events.close()
        client.close()
        del events, client
        gc.collect()
        return "dropped"

    print(in_child(drop))
    print(client.delete_sandbox(sandbox_id).state.name)
    waiting.join()
    print(states, next(events).sequence)
    events.close()
    client.close()
    """
    lines = ["dropped", "DELETED", "['FAILED'] 5"]
    assert run(program, daemon.socket_path, how) == lines
    opened = [call for call in daemon.calls if call.method == "SubscribeSandboxEvents"]
    assert len(opened) <= 4, "no stream was opened again"


def test_a_closed_blocking_client_stays_closed(daemon: FakeDaemon) -> None:
    program = """
    with SyncAgentsSandboxClient(socket) as client:
        client.ping()
    print(in_child(client.ping))
    """
    (said,) = run(program, daemon.socket_path)
    assert said.startswith("ClientClosedError")


def test_a_lock_of_another_thread_does_not_hang_the_child(daemon: FakeDaemon) -> None:
    # The client is closed, so that these threads are in our code and never in gRPC's.
    program = """
    client, closed = SyncAgentsSandboxClient(socket), SyncAgentsSandboxClient(socket)
    client.ping()
    closed.close()
    ending = threading.Event()

    def use():
        while not ending.is_set():
            told(closed.ping)

    using = [threading.Thread(target=use) for _ in range(3)]
    for thread in using:
        thread.start()
    print({in_child(lambda: client.create_sandbox(image="a:1").state.name) for _ in range(4)})
    ending.set()
    for thread in using:
        thread.join()
    client.close()
    """
    assert run(program, daemon.socket_path) == ["{'READY'}"]


@forks_under_way
def test_a_detection_of_the_release_in_the_parent_does_not_hang_the_child(
    daemon: FakeDaemon,
) -> None:
    # The asking thread holds a lock. It pauses because gRPC could crash in the child during a call.
    program = """
    from agents_sandbox._deadline import Backoff

    Backoff.pause = lambda backoff, deadline: 3600.0
    client = SyncAgentsSandboxClient(socket, timeout_seconds=3600)
    said = []
    asking = threading.Thread(target=lambda: said.append(told(client.list_sandboxes)))
    asking.start()
    wait_until_in("pause", asking)
    print(in_child(client.list_sandboxes))
    client.close()
    asking.join()
    print(*said)
    """
    daemon.faults.fail_next("Ping", code="UNAVAILABLE")
    child, parent = run(program, daemon.socket_path)
    assert child == "[]"
    assert parent.startswith("ClientClosedError")


@both_ways
def test_a_child_of_an_async_client_gets_an_error_that_says_what_to_do(
    daemon: FakeDaemon, how: str
) -> None:
    program = """
    async def use(client):
        async with client:
            return await client.ping()

    async def main():
        async with AgentsSandboxClient(socket) as client:
            await client.ping()
            for used in (client, AgentsSandboxClient(socket)):
                print(in_child(lambda: run(used.ping())))
            print((await client.ping()).daemon)

    asyncio.run(main())
    """
    *children, parent = run(program, daemon.socket_path, how)
    for said in children:
        assert said.startswith("ClientLoopError: this process was forked")
        assert "spawn" in said
        assert "blocking client" in said
    assert parent == "agboxd"


@both_ways
def test_a_child_of_a_closed_async_client_works_or_says_what_to_do(
    daemon: FakeDaemon, how: str
) -> None:
    program = """
    async def use():
        async with AgentsSandboxClient(socket) as client:
            handle = await client.create_sandbox(image="a:1")
            return (await client.run(handle.sandbox_id, ("true",))).state.name

    unused, closed = AgentsSandboxClient(socket), AgentsSandboxClient(socket)

    async def main():
        async with closed:
            await closed.ping()
        await use()
        print(in_child(lambda: run(closed.ping())))
        print(in_child(lambda: run(use())))  # it depends on when gRPC cleans up

    asyncio.run(main())
    print(in_child(lambda: run(use())))
    while any("poll" in thread.name for thread in threading.enumerate()):
        gc.collect()
    print(in_child(lambda: run(use())))
    print(in_child(lambda: run(unused.ping()).daemon))
    asyncio.run(use())
    """
    closed, *soon, later, unused = run(program, daemon.socket_path, how)
    assert closed.startswith("ClientClosedError")
    for said in soon:
        assert said == "FINISHED" or said.startswith("ClientLoopError: this process was forked")
    assert (later, unused) == ("FINISHED", "agboxd")


@forks_under_way
@both_ways
def test_a_blocking_client_works_in_the_child_of_an_async_one(daemon: FakeDaemon, how: str) -> None:
    program = """
    def use():
        with SyncAgentsSandboxClient(socket) as client:
            handle = client.create_sandbox(image="a:1")
            return client.run(handle.sandbox_id, ("true",)).state.name

    async def main():
        async with AgentsSandboxClient(socket) as client:
            sandbox_id = (await client.create_sandbox(image="a:1")).sandbox_id
            print(in_child(use))
            print((await client.run(sandbox_id, ("true",))).state.name)

    asyncio.run(main())
    """
    assert run(program, daemon.socket_path, how) == ["FINISHED", "FINISHED"]


@both_ways
def test_a_fake_daemon_in_a_child_says_what_to_do(daemon: FakeDaemon, how: str) -> None:
    program = """
    from agents_sandbox.testing import FakeDaemon

    def use(fake):
        with fake:
            return "it runs"

    made = FakeDaemon()
    with FakeDaemon() as running:
        print(in_child(lambda: use(FakeDaemon())))
        print(in_child(lambda: use(made)))
        print(in_child(running.kill))
        print(in_child(running.faults.end_streams))
        print(in_child(running.stop))
        with SyncAgentsSandboxClient(running.socket_path) as client:
            print(client.ping().daemon)
    made.stop()
    """
    *starts, run_there, call_there, stop, parent = run(program, daemon.socket_path, how)
    for said in starts:
        assert said.startswith("RuntimeError: this process was forked while")
        assert "'spawn' or 'forkserver'" in said
    for said in (run_there, call_there):
        assert said.startswith(
            "RuntimeError: the fake daemon runs in the process that this one was"
        )
    assert (stop, parent) == ("None", "agboxd")


@both_ways
def test_a_fake_daemon_runs_in_a_child_once_that_of_the_parent_is_gone(
    daemon: FakeDaemon, how: str
) -> None:
    program = """
    from agents_sandbox.testing import FakeDaemon

    def use(fake):
        with fake, SyncAgentsSandboxClient(fake.socket_path) as client:
            return client.create_sandbox(image="a:1").state.name

    made = FakeDaemon()
    print(use(FakeDaemon()))
    while any("poll" in thread.name for thread in threading.enumerate()):
        gc.collect()
    print(in_child(lambda: use(FakeDaemon())))
    print(in_child(lambda: use(made)))
    print(use(made))
    """
    assert run(program, daemon.socket_path, how) == ["READY"] * 4


@both_ways
def test_a_child_does_not_wait_for_a_thread_of_its_parent(daemon: FakeDaemon, how: str) -> None:
    program = """
    from agents_sandbox.testing import FakeDaemon

    def hold():
        with running._changes:
            held.set()
            forked.wait()

    held, forked = threading.Event(), threading.Event()
    with FakeDaemon() as running:
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        print(in_child(running.stop))
        forked.set()
        thread.join()
    """
    assert run(program, daemon.socket_path, how) == ["None"]


def test_a_child_leaves_a_block_that_shows_progress(daemon: FakeDaemon) -> None:
    """Although the thread that shows it stays in the parent, in the midst of a line."""
    program = """
    from agents_sandbox import _progress

    painting, go_on = threading.Event(), threading.Event()

    class Line:
        def show(self, text):
            painting.set()
            go_on.wait()

    _progress._find_line = Line
    client = SyncAgentsSandboxClient(socket)
    block = progress(client)

    def leave():
        block.__exit__(None, None, None)
        return client._daemon.waits

    with block:
        client._daemon.waits[type("Wait", (), {"describe": lambda wait: "box"})()] = 0.0
        painting.wait()
        print(in_child(leave))
        go_on.set()
    """
    assert run(program, daemon.socket_path) == ["None"]
