"""Operations that overlap: stops, deletes, kills, pauses and virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, FakeDaemon
from agents_sandbox.testing._server.loop_thread import LoopThread
from agents_sandbox.testing._time import background

from .raw import Raw, connected

pytestmark = pytest.mark.once

CHECK = {"test": ["CMD", "true"], "interval": Duration(seconds=60)}


@contextmanager
def virtual(version: str = "0.2.1", **options: Any) -> Iterator[Raw]:
    with (
        FakeDaemon(version=version, virtual_time=True, **options) as daemon,
        connected(daemon) as raw,
    ):
        yield raw


def call(raw: Raw, method: Any, seconds: float = 0) -> None:
    """Make a call for `box-1`, then advance the clock."""
    raw(method, sandbox_id="box-1")
    raw.daemon.advance(seconds)


def state(raw: Raw, sandbox_id: str = "box-1") -> str:
    return pb.SandboxState.Name(raw.get(sandbox_id).state).removeprefix("SANDBOX_STATE_")


@pytest.mark.parametrize("version", ["0.2.1", "0.4.3"])
def test_a_restarted_container_runs_for_its_full_time(version: str) -> None:
    with virtual(version, containers={"box-1": ContainerBehavior(exits_after=100)}) as raw:
        raw.daemon.on_exec(("x",)).never()
        raw.create()
        raw.daemon.advance(50)
        call(raw, methods.STOP_SANDBOX, 10)
        call(raw, methods.RESUME_SANDBOX)
        raw.start("x")
        raw.daemon.advance(99)
        assert (state(raw), raw.exec().state) == ("READY", pb.EXEC_STATE_RUNNING)
        raw.daemon.advance(1)
        # The exec ended with its container.
        assert raw.exec().exit_code == 137
        assert state(raw) == ("FAILED" if version == "0.2.1" else "READY")


def test_a_hook_does_not_start_a_stopped_sandbox() -> None:
    ran: list[str] = []

    async def hook(_: object) -> None:
        ran.append("hook")

    with virtual("0.4.3", containers={"db": ContainerBehavior(healthy_after=60)}) as raw:
        raw.daemon.on_exec(("sh", "-lc", "seed")).call(hook)
        companion = {"name": "db", "image": "redis:7", "healthcheck": CHECK}
        raw.create(companion_containers=[{**companion, "post_start_on_primary": ["seed"]}])
        raw.daemon.advance(1)
        call(raw, methods.STOP_SANDBOX, 100)
        assert (state(raw), ran) == ("STOPPED", [])


def test_a_hook_does_not_start_a_primary_that_was_killed() -> None:
    ran: list[str] = []

    async def hook(_: object) -> None:
        ran.append("hook")

    with virtual("0.2.1", containers={"db": ContainerBehavior(healthy_after=60)}) as raw:
        raw.daemon.on_exec(("sh", "-lc", "seed")).call(hook)
        optional = {"name": "db", "image": "redis:7", "healthcheck": CHECK}
        raw.create(optional_services=[{**optional, "post_start_on_primary": ["seed"]}])
        raw.daemon.advance(1)
        raw.daemon.kill_container("box-1")
        raw.daemon.advance(100)
        assert (state(raw), ran) == ("FAILED", [])


@pytest.mark.parametrize("healthy_after", [10, 1000])
def test_a_service_that_is_killed_before_it_is_healthy_fails_the_create(
    healthy_after: float,
) -> None:
    with virtual(containers={"db": ContainerBehavior(healthy_after=healthy_after)}) as raw:
        raw.create(required_services=[{"name": "db", "image": "redis:7", "healthcheck": CHECK}])
        raw.daemon.advance(5)
        raw.daemon.kill_container("box-1", "db")
        raw.daemon.advance(300)
        assert raw.get().error_message == (
            "container agbox-svc-box-1-db is not running while waiting for health"
        )


def test_a_pause_does_not_step_through_periodic_checks() -> None:
    with virtual() as raw, raw.daemon.paused() as pause:
        raw.daemon.advance(130)
        raw.create()
        pause.step()
        assert raw.history() == ["SANDBOX_ACCEPTED:PENDING", "SANDBOX_PREPARING:PENDING"]


def test_concurrent_advances_add_up(elsewhere: ThreadPoolExecutor) -> None:
    with virtual(containers={"db": ContainerBehavior(starts_after=50)}) as raw:
        raw.create(optional_services=[{"name": "db", "image": "redis:7"}])
        for moved in [elsewhere.submit(raw.daemon.advance, 10) for _ in range(5)]:
            moved.result()
        assert raw.history()[-1] == "SANDBOX_SERVICE_READY:READY"


def test_a_create_that_completes_after_its_delete_keeps_its_container_name() -> None:
    with virtual(ready_delay=10) as raw:
        raw.create("a_b-c")
        raw.daemon.advance(9)
        raw(methods.DELETE_SANDBOX, sandbox_id="a_b-c")
        raw.daemon.advance(1)
        assert state(raw, "a_b-c") == "READY"
        raw.create("a-b_c")
        raw.daemon.advance(10)
        assert "already exists" in raw.get("a-b_c").error_message


def stopped(raw: Raw) -> None:
    """Create `box-1` and stop it."""
    raw.create()
    raw.daemon.advance(100)
    call(raw, methods.STOP_SANDBOX, 100)


def test_ready_can_follow_a_delete_whose_containers_take_time_to_remove() -> None:
    with virtual("0.4.3", ready_delay=1, stop_delay=5, remove_delay=2) as raw:
        raw.daemon.on_exec(("serve",)).never()
        stopped(raw)
        before = raw.get().last_event_sequence
        call(raw, methods.RESUME_SANDBOX, 0.5)
        call(raw, methods.DELETE_SANDBOX, 0.5)
        assert state(raw) == "READY"
        raw.start("serve")
        raw.daemon.advance(1.4)
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(0.1)
        assert raw.history()[before:] == [
            "SANDBOX_ACCEPTED:PENDING",
            "SANDBOX_DELETE_REQUESTED:DELETING",
            "SANDBOX_READY:READY",
            "EXEC_STARTED",
            "SANDBOX_STOP_REQUESTED",
            "EXEC_FAILED",
            "SANDBOX_STOPPED:STOPPED",
            "SANDBOX_DELETED:DELETED",
        ]
        caught = raw.exec()
        assert (caught.state, caught.exit_code) == (pb.EXEC_STATE_FAILED, 0)
        assert "No such container" in caught.error
        raw.daemon.advance(100)
        assert state(raw) == "DELETED"


@pytest.mark.parametrize(("ready_delay", "end"), [(1, ["SANDBOX_READY:READY"]), (9, [])])
def test_a_resume_can_be_accepted_during_a_delete(ready_delay: float, end: list[str]) -> None:
    with virtual("0.4.3", ready_delay=ready_delay, stop_delay=5, remove_delay=2) as raw:
        raw.create()
        raw.daemon.advance(100)
        call(raw, methods.STOP_SANDBOX, 1)
        call(raw, methods.DELETE_SANDBOX)
        assert state(raw) == "STOPPED"
        call(raw, methods.RESUME_SANDBOX, 100)
        assert raw.history()[3:] == [
            "SANDBOX_STOP_REQUESTED",
            "SANDBOX_DELETE_REQUESTED:DELETING",
            "SANDBOX_STOPPED:STOPPED",
            "SANDBOX_ACCEPTED:PENDING",
            *end,
            "SANDBOX_DELETED:DELETED",
        ]


def test_deletes_that_overlap_end_one_after_the_other() -> None:
    with virtual(ready_delay=1, remove_delay=2) as raw:
        stopped(raw)
        call(raw, methods.RESUME_SANDBOX, 0.5)
        call(raw, methods.DELETE_SANDBOX, 1)
        call(raw, methods.DELETE_SANDBOX, 1)
        assert state(raw) == "DELETED"
        raw.daemon.advance(1)
        assert raw.history()[-5:] == [
            "SANDBOX_DELETE_REQUESTED:DELETING",
            "SANDBOX_READY:READY",
            "SANDBOX_DELETE_REQUESTED:DELETING",
            *["SANDBOX_DELETED:DELETED"] * 2,
        ]


def test_a_delete_without_containers_takes_no_time() -> None:
    with virtual(remove_delay=2, missing_images=["typo:1"]) as raw:
        raw.create(image="typo:1")
        raw.daemon.advance(0)
        call(raw, methods.DELETE_SANDBOX)
        assert state(raw) == "DELETED"


def test_overlapping_stops_end_together() -> None:
    with virtual("0.4.3", stop_delay=5) as raw:
        raw.create()
        raw.daemon.advance(0)
        call(raw, methods.STOP_SANDBOX, 4)
        call(raw, methods.STOP_SANDBOX, 1)
        assert raw.history()[-2:] == ["SANDBOX_STOPPED:STOPPED"] * 2
        call(raw, methods.RESUME_SANDBOX, 60)
        assert state(raw) == "READY"


def test_long_times_pass_quickly() -> None:
    with virtual(idle_ttl=0) as raw:
        raw.create()
        raw.daemon.advance(15 * 24 * 3600.0)
        assert state(raw) == "READY"


def test_a_call_that_waits_for_the_daemon_fails_at_its_stop(elsewhere: ThreadPoolExecutor) -> None:
    begun = threading.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    thread = LoopThread(nothing)
    thread.start()
    waiting = elsewhere.submit(thread.run, forever(), 60.0)
    begun.wait()
    thread.stop()
    with pytest.raises(RuntimeError, match="was stopped during the call"):
        waiting.result()


async def test_work_that_does_not_end_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_CANCEL_TIMEOUT", 0.0)
    made = background.Background()
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    task = made.spawn(stubborn())
    await asyncio.sleep(0)  # a turn of the loop, not time
    await made.aclose()
    (error,) = made.errors
    assert "cancelled work did not end" in str(error)
    release.set()
    await task


FORGOTTEN = """
import grpc
from agents_sandbox._wire import methods
from agents_sandbox.testing import FakeDaemon

daemon = FakeDaemon(version="0.2.1", exec_mode="passthrough").start()
channel = grpc.insecure_channel(f"unix:{daemon.socket_path}")
def call(method, **fields):
    rpc = channel.unary_unary(
        method.path,
        request_serializer=method.request_type.SerializeToString,
        response_deserializer=method.response_type.FromString,
    )
    return rpc(method.request_type(**fields), timeout=10)

stub = methods.CREATE_SANDBOX
call(stub, sandbox_id="box-1", create_spec={"image": "a"})
while call(methods.GET_SANDBOX, sandbox_id="box-1").sandbox.state != 2:
    pass
call(methods.CREATE_EXEC, sandbox_id="box-1", command=["sleep", "60"], exec_id="exec-1")
channel.close()
print(daemon.exec_log_root.parent)
"""


def test_a_daemon_that_is_never_stopped_ends_with_its_process() -> None:
    command = [sys.executable, "-W", "error", "-c", FORGOTTEN]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""
    assert not subprocess.run(["ls", ended.stdout.strip()], capture_output=True, check=False).stdout
