"""Calls that are retried after a lost connection, and calls that are not."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecState,
    HealthcheckConfig,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxConflictError,
    SandboxHandle,
    SandboxNotReadyError,
    SandboxState,
    ServiceSpec,
)
from agents_sandbox._arguments.creates import NewSandbox
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .._aio import Background, off_loop
from ..releases import each_dialect
from .conftest import IMAGE, AtPause, LastAttempt
from .life import ID, count

pytestmark = each_dialect

READS: dict[str, tuple[Any, ...]] = {
    "ping": (),
    "get_sandbox": (ID,),
    "list_sandboxes": (),
    "get_exec": ("my-exec",),
    "list_active_execs": (),
}
RPC = {
    "ping": "Ping",
    "get_sandbox": "GetSandbox",
    "list_sandboxes": "ListSandboxes",
    "get_exec": "GetExec",
    "list_active_execs": "ListActiveExecs",
    "stop_sandbox": "StopSandbox",
    "resume_sandbox": "ResumeSandbox",
    "delete_sandboxes": "DeleteSandboxes",
}


@pytest.mark.parametrize("read", READS)
async def test_reads_are_retried(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    pauses: list[float],
    read: str,
) -> None:
    await client.run(ID, ("true",), exec_id="my-exec")
    before = count(daemon, RPC[read])
    daemon.faults.fail_next(RPC[read], code="UNAVAILABLE", times=2)
    daemon.faults.fail_next(RPC[read], code="CANCELLED")
    assert await getattr(client, read)(*READS[read]) is not None
    assert pauses == [0.05, 0.1, 0.2]
    # A read of sandboxes first asks for the release, with a ping.
    assert count(daemon, RPC[read]) == before + 4


@pytest.mark.parametrize("read", READS)
async def test_reads_outlast_a_restart(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, read: str
) -> None:
    await client.run(ID, ("true",), exec_id="my-exec")
    await off_loop(daemon.kill)
    call = Background(getattr(client, read), *READS[read])
    await off_loop(daemon.start)
    assert await call.result() is not None


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("read", READS)
async def test_reads_are_retried_until_their_deadline(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, read: str
) -> None:
    with daemon.faults.failing(method=RPC[read]) as failing:
        with pytest.raises(DaemonUnavailableError):
            await getattr(client, read)(*READS[read], timeout_seconds=0.5)
        assert failing.hits > 1


async def test_a_retry_that_cannot_help_is_the_last_one(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, at_pause: AtPause
) -> None:
    path = Path(daemon.socket_path)

    def replace() -> None:
        path.unlink()
        path.write_text("no socket")

    await off_loop(daemon.kill)
    at_pause(1, replace)
    with pytest.raises(DaemonUnavailableError, match="is not a socket") as caught:
        await client.get_sandbox(ID)
    assert not caught.value.retryable
    path.unlink()


async def test_a_retry_that_the_daemon_ends_early_is_the_last_one(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    """A daemon that answers with a timeout is not lost."""
    daemon.faults.fail_next("GetSandbox", code="UNAVAILABLE")
    daemon.faults.fail_next("GetSandbox", code="DEADLINE_EXCEEDED")
    before = count(daemon, "GetSandbox")
    with pytest.raises(OperationTimeoutError):
        await client.get_sandbox(ID)
    assert count(daemon, "GetSandbox") == before + 2


async def test_a_read_gives_up_when_it_is_out_of_time(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await off_loop(daemon.kill)
    with pytest.raises(DaemonUnavailableError, match="nothing listens"):
        await client.get_sandbox(ID, timeout_seconds=0.5)


async def test_a_daemon_that_was_never_available_is_an_immediate_error(
    tmp_path: Path, pauses: list[float]
) -> None:
    async with AgentsSandboxClient(tmp_path / "agboxd.sock") as client:
        with pytest.raises(DaemonUnavailableError, match="the socket does not exist"):
            await client.ping()
    assert pauses == []


async def test_a_daemon_that_refused_a_call_was_available(
    daemon: FakeDaemon, pauses: list[float]
) -> None:
    async with AgentsSandboxClient(daemon.socket_path) as client:
        with pytest.raises(Exception, match="was not found"):
            await client.get_exec("ghost")
        await off_loop(daemon.kill)
        with pytest.raises(DaemonUnavailableError):
            await client.ping(timeout_seconds=0.5)
    assert pauses


async def test_a_daemon_that_sent_an_event_was_available(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, pauses: list[float]
) -> None:
    """Even if it answered no other call of this client."""
    other = AgentsSandboxClient(
        daemon.socket_path, daemon_version=daemon.version, operation_timeout_seconds=0.5
    )
    async with other, other.subscribe_sandbox_events(ID) as events:
        assert (await events.__anext__()).sequence == 1
        await off_loop(daemon.kill)
        with pytest.raises(DaemonUnavailableError):
            async for _ in events:
                pass
    assert pauses


@pytest.mark.parametrize("read", READS)
async def test_a_retry_that_times_out_reports_the_lost_connection(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    last_attempt: LastAttempt,
    read: str,
) -> None:
    await client.run(ID, ("true",), exec_id="my-exec")
    last_attempt(1)
    late = daemon.faults.delaying(60, method=RPC[read])
    with late, daemon.faults.failing(method=RPC[read], times=1) as failing:
        with pytest.raises(DaemonUnavailableError, match="no retry succeeded within") as caught:
            await getattr(client, read)(*READS[read], timeout_seconds=30)
        assert failing.hits == 1
    assert isinstance(caught.value.__cause__, DaemonUnavailableError)
    about = {"get_sandbox": (ID, None), "get_exec": (None, "my-exec")}.get(read, (None, None))
    assert (caught.value.sandbox_id, caught.value.exec_id) == about


async def test_a_retry_that_times_out_reports_the_current_problem(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    last_attempt: LastAttempt,
) -> None:
    path = Path(daemon.socket_path)
    hidden = Path(f"{path}.hidden")
    last_attempt(1, lambda: path.rename(hidden))
    late = daemon.faults.delaying(60, method="GetExec")
    with late, daemon.faults.failing(method="GetExec", times=1):
        with pytest.raises(DaemonUnavailableError, match="the socket does not exist"):
            await client.get_exec("my-exec", timeout_seconds=30)
        hidden.rename(path)


@pytest.mark.usefixtures("pauses")
async def test_a_retry_that_is_lost_near_the_deadline_is_a_lost_connection(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Near enough that the daemon may have seen the deadline pass.
    monkeypatch.setattr("agents_sandbox._deadline._CLOCK_DIFFERENCE_SECONDS", 60.0)
    daemon.faults.fail_next("Ping", code="UNAVAILABLE")
    daemon.faults.fail_next("Ping", code="CANCELLED")
    with pytest.raises(DaemonUnavailableError, match="no retry succeeded within"):
        await client.ping(timeout_seconds=30)


@pytest.mark.usefixtures("pauses")
async def test_a_retry_that_the_daemon_times_out_is_no_lost_connection(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("Ping", code="UNAVAILABLE")
    daemon.faults.fail_next("Ping", code="DEADLINE_EXCEEDED")
    with pytest.raises(OperationTimeoutError):
        await client.ping(timeout_seconds=30)


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("question", ["Ping", "CreateSandbox"])
async def test_the_detection_of_the_release_is_retried(release: str, question: str) -> None:
    # A build without a release is probed with creates that are all refused.
    reported = "dev" if question == "CreateSandbox" else None
    with FakeDaemon(version=release, reported_version=reported) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            daemon.faults.fail_next(question, code="UNAVAILABLE")
            assert (await client.create_sandbox(image=IMAGE, sandbox_id=ID)).sandbox_id == ID
        created = [c for c in daemon.calls if c.method == "CreateSandbox" and c.request.sandbox_id]
        assert len(created) == 1


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("wait", [True, False])
async def test_a_delete_is_retried(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, wait: bool
) -> None:
    with daemon.faults.losing_answers(method="DeleteSandbox", times=2):
        await client.delete_sandbox(ID, wait=wait)
    assert count(daemon, "DeleteSandbox") == 3
    assert (await client.delete_sandbox(ID)).last_event_sequence == 5


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("fault", ["losing_answers", "failing"])
@pytest.mark.parametrize("wait", [True, False])
async def test_a_create_with_an_id_of_ours_is_retried(
    client: AgentsSandboxClient, daemon: FakeDaemon, fault: str, wait: bool
) -> None:
    with getattr(daemon.faults, fault)(method="CreateSandbox", times=2):
        sandbox = await client.create_sandbox(image=IMAGE, labels={"team": "core"}, wait=wait)
    assert sandbox.labels == {"team": "core"}
    ids = {c.request.sandbox_id for c in daemon.calls if c.method == "CreateSandbox"}
    # If the create took effect, its first retry is refused and the sandbox is read back.
    repeats = 1 if fault == "losing_answers" else 2
    assert (count(daemon, "CreateSandbox"), ids) == (1 + repeats, {sandbox.sandbox_id})
    assert len(await client.list_sandboxes()) == 1


@pytest.mark.usefixtures("pauses")
async def test_a_create_is_retried_until_its_deadline(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.failing(method="CreateSandbox") as failing:
        with pytest.raises(DaemonUnavailableError) as caught:
            await client.create_sandbox(image=IMAGE, timeout_seconds=0.5)
        assert failing.hits > 1
    asked = [call.request for call in daemon.calls if call.method == "CreateSandbox"]
    assert {request.sandbox_id for request in asked} == {caught.value.sandbox_id}


@pytest.mark.usefixtures("pauses")
async def test_a_create_that_is_read_back_waits_for_its_services(release: str) -> None:
    containers = {"db": ContainerBehavior(starts_after=60, healthy_after=0)}
    database = ServiceSpec("db", "postgres:17", healthcheck=HealthcheckConfig(("CMD", "true")))
    with FakeDaemon(version=release, virtual_time=True, containers=containers) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with daemon.faults.losing_answers(method="CreateSandbox", times=1):
                create = Background(
                    client.create_sandbox,
                    image=IMAGE,
                    required_services=[database],
                )
                await off_loop(daemon.wait_for_streams, 1)
            await off_loop(daemon.advance, 61)
            # Accepted, preparing, ready, and the service.
            assert (await create.result()).last_event_sequence == 4


@pytest.mark.usefixtures("pauses")
async def test_a_create_whose_retry_is_refused_for_another_reason_is_read_back(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    # As if the source of a mount was removed after the first attempt was accepted.
    with daemon.faults.losing_answers(method="CreateSandbox", times=1):
        daemon.faults.fail_next("CreateSandbox", code="INVALID_ARGUMENT", optional=True)
        with pytest.raises(InvalidArgumentError):
            await client.create_sandbox(image=IMAGE)
        assert await client.list_sandboxes() == [], "it was not retried, and nothing exists"
    with daemon.faults.losing_answers(method="CreateSandbox", times=1):
        create = Background(client.create_sandbox, image=IMAGE)
        await off_loop(daemon.wait_for_call, "CreateSandbox", count=3)
        assert (await create.result()).state is SandboxState.READY


@pytest.mark.usefixtures("pauses")
async def test_a_refused_retry_with_nothing_to_read_back_is_refused(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateSandbox", code="UNAVAILABLE")
    daemon.faults.fail_next("CreateSandbox", code="INVALID_ARGUMENT", message="mount is gone")
    with pytest.raises(InvalidArgumentError, match="mount is gone"):
        await client.create_sandbox(image=IMAGE)


@pytest.mark.parametrize("fault", ["losing_answers", "failing"])
async def test_a_create_with_an_id_of_the_callers_is_not_retried(
    client: AgentsSandboxClient, daemon: FakeDaemon, fault: str
) -> None:
    once = getattr(daemon.faults, fault)(method="CreateSandbox", times=1)
    with once, pytest.raises(DaemonUnavailableError) as caught:
        await client.create_sandbox(image=IMAGE, sandbox_id=ID)
    assert (caught.value.sandbox_id, count(daemon, "CreateSandbox")) == (ID, 1)


async def test_an_id_that_was_taken_before_is_a_conflict(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with pytest.raises(SandboxConflictError):
        await client.create_sandbox(image=IMAGE, sandbox_id=ID)
    await client.create_exec(ID, ("true",), exec_id="my-exec")
    with pytest.raises(ExecConflictError):
        await client.create_exec(ID, ("true",), exec_id="my-exec")


@pytest.mark.usefixtures("pauses")
async def test_a_run_is_retried_and_runs_once(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("once",)).exit(3).times(1)
    with daemon.faults.losing_answers(method="CreateExec", times=1):
        result = await client.run(ID, ("once",))
    assert (result.exit_code, count(daemon, "CreateExec")) == (3, 2)
    events = 5  # three of the sandbox, two of the one exec
    assert (await client.get_sandbox(ID)).last_event_sequence == events
    # Only the lost answer contained them.
    assert (result.stdout_log_path, result.stderr_log_path) == (None, None)
    daemon.faults.fail_next("CreateExec", code="UNAVAILABLE")
    assert (await client.run(ID, ("once",))).stdout_log_path is not None


@pytest.mark.usefixtures("pauses")
async def test_an_exec_whose_sandbox_stopped_before_its_retry_is_read_back(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    with daemon.faults.losing_answers(method="CreateExec") as losing:
        run = Background(client.run, ID, ("sleep",))
        await off_loop(daemon.wait_for_call, "CreateExec")
        await client.stop_sandbox(ID)
        assert losing.hits
    assert (await run.result()).exit_code == 137


async def test_an_exec_with_an_id_of_the_callers_is_not_retried(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateExec", code="UNAVAILABLE")
    with pytest.raises(DaemonUnavailableError) as caught:
        await client.run(ID, ("true",), exec_id="my-exec")
    assert (caught.value.exec_id, count(daemon, "CreateExec")) == ("my-exec", 1)


@pytest.mark.usefixtures("pauses")
async def test_a_cancel_is_retried(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    for fault in (daemon.faults.losing_answers, daemon.faults.failing):
        started = await client.create_exec(ID, ("sleep",))
        with fault(method="CancelExec", times=2):
            assert (await client.cancel_exec(started.exec_id)).state is ExecState.CANCELLED


@pytest.mark.usefixtures("pauses")
async def test_a_cancel_that_came_too_late_says_so_although_it_was_retried(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.run(ID, ("true",), exec_id="my-exec")
    daemon.faults.fail_next("CancelExec", code="UNAVAILABLE")
    with pytest.raises(ExecAlreadyTerminalError):
        await client.cancel_exec("my-exec")


async def test_a_cancel_that_is_refused_at_first_is_not_read_back(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    started = await client.create_exec(ID, ("sleep",))
    await client.cancel_exec(started.exec_id)
    reads = count(daemon, "GetExec")
    with pytest.raises(ExecAlreadyTerminalError):
        await client.cancel_exec(started.exec_id)
    assert count(daemon, "GetExec") == reads


@pytest.mark.parametrize("method", ["stop_sandbox", "resume_sandbox", "delete_sandboxes"])
async def test_a_call_that_could_act_twice_is_not_retried(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, method: str
) -> None:
    argument: Any = {"team": "core"} if method == "delete_sandboxes" else ID
    daemon.faults.fail_next(RPC[method], code="UNAVAILABLE")
    with pytest.raises(DaemonUnavailableError):
        await getattr(client, method)(argument)
    assert count(daemon, RPC[method]) == 1


async def test_a_refused_first_attempt_is_a_refusal(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.stop_sandbox(ID)
    with pytest.raises(SandboxNotReadyError):
        await client.run(ID, ("true",))
    assert count(daemon, "CreateExec") == 1


async def test_an_id_that_a_crash_has_burnt_is_replaced(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.burning_ids(times=1) as fault:
        handle = await client.create_sandbox(image=IMAGE)
    assert (fault.hits, handle.state) == (1, SandboxState.READY)
    burnt, *others = [
        call.request.sandbox_id for call in daemon.calls if call.method == "CreateSandbox"
    ]
    assert others[-1] == handle.sandbox_id != burnt
    assert [item.sandbox_id for item in await client.list_sandboxes()] == [handle.sandbox_id]


async def test_an_id_that_is_burnt_after_an_attempt_that_found_no_daemon(
    client: AgentsSandboxClient, daemon: FakeDaemon, at_pause: AtPause
) -> None:
    await client.ping()
    await off_loop(daemon.kill)
    Path(daemon.socket_path).unlink()
    at_pause(1, daemon.start)
    with daemon.faults.burning_ids(times=1) as fault:
        handle = await client.create_sandbox(image=IMAGE)
    assert (fault.hits, handle.state) == (1, SandboxState.READY)


async def test_an_id_that_a_crash_burns_while_it_is_read(
    client: AgentsSandboxClient, daemon: FakeDaemon, at_pause: AtPause
) -> None:
    """The first attempt was at work in a daemon that does not live to record it."""

    def restart() -> None:
        daemon.kill()
        daemon.start()

    at_pause(3, restart)
    with daemon.faults.losing_answers(method="CreateSandbox", times=1):
        # Twice before the restart, once after it.
        daemon.faults.fail_next("GetSandbox", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND", times=3)
        handle = await client.create_sandbox(image=IMAGE)
    burnt, *others = [
        call.request.sandbox_id for call in daemon.calls if call.method == "CreateSandbox"
    ]
    assert others[-1] == handle.sandbox_id != burnt


@pytest.mark.usefixtures("pauses")
async def test_an_id_that_a_living_daemon_has_taken_is_not_replaced(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    """The first attempt is at work, and what it creates appears late: nothing is made twice."""
    with daemon.faults.losing_answers(method="CreateSandbox", times=1) as lost:
        daemon.faults.fail_next("GetSandbox", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND", times=4)
        handle = await client.create_sandbox(image=IMAGE)
    assert lost.hits == 1
    requested = {call.request.sandbox_id for call in daemon.calls if call.method == "CreateSandbox"}
    assert requested == {handle.sandbox_id}
    assert [item.sandbox_id for item in await client.list_sandboxes()] == [handle.sandbox_id]


@pytest.mark.usefixtures("pauses")
async def test_an_id_that_a_living_daemon_has_taken_for_nothing_is_a_conflict(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    missing = daemon.faults.failing("NOT_FOUND", method="GetSandbox", reason="SANDBOX_NOT_FOUND")
    with (
        daemon.faults.losing_answers(method="CreateSandbox", times=1),
        missing as reads,
        pytest.raises(SandboxConflictError) as caught,
    ):
        await client.create_sandbox(image=IMAGE, timeout_seconds=5)
    assert reads.hits > 2
    (created,) = await client.list_sandboxes()
    assert caught.value.sandbox_id == created.sandbox_id
    # Not on Python 3.10, which has no notes.
    assert getattr(caught.value, "__notes__", [""])[0] in (
        "",
        "the SDK has made this id: a new call gets another one",
    )


@pytest.mark.unshared
@pytest.mark.parametrize("missing", [False, True])
async def test_a_read_of_a_taken_id_that_gets_no_answer(
    client: AgentsSandboxClient, daemon: FakeDaemon, missing: bool, last_attempt: LastAttempt
) -> None:
    # Before the retry of the create, or between the first read and the second.
    last_attempt(2 if missing else 1)
    failing = partial(daemon.faults.failing, method="GetSandbox", times=1)
    with (
        daemon.faults.losing_answers(method="CreateSandbox", times=1),
        daemon.faults.delaying(60, method="GetSandbox"),
        failing("NOT_FOUND", reason="SANDBOX_NOT_FOUND") if missing else nullcontext(),
        pytest.raises(SandboxConflictError if missing else DaemonUnavailableError) as caught,
    ):
        await client.create_sandbox(image=IMAGE, timeout_seconds=30)
    (created,) = await client.list_sandboxes()
    assert getattr(caught.value, "sandbox_id", None) == created.sandbox_id


async def test_a_fresh_id_that_is_refused_at_once_is_a_conflict(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was lost since the id was replaced, so somebody else has it."""
    with daemon.faults.burning_ids(times=1):
        fresh = NewSandbox.with_fresh_id

        def with_taken_id(new: NewSandbox) -> NewSandbox:
            daemon.faults.fail_next(
                "CreateSandbox", code="ALREADY_EXISTS", reason="SANDBOX_ID_ALREADY_EXISTS"
            )
            return fresh(new)

        monkeypatch.setattr(NewSandbox, "with_fresh_id", with_taken_id)
        with pytest.raises(SandboxConflictError):
            await client.create_sandbox(image=IMAGE)
    assert count(daemon, "CreateSandbox") == 3


async def test_each_burnt_id_is_replaced(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.faults.burning_ids("CreateExec", times=2) as fault:
        ended = await client.run(ID, ("true",))
    assert (fault.hits, ended.state) == (2, ExecState.FINISHED)
    assert ended.stdout_log_path is not None
    assert await client.get_exec(ended.exec_id)


async def test_a_burnt_id_of_the_caller_is_a_conflict(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.burning_ids() as fault:
        with pytest.raises(DaemonUnavailableError):
            await client.create_sandbox(image=IMAGE, sandbox_id=ID)
        with pytest.raises(SandboxConflictError):
            await client.create_sandbox(image=IMAGE, sandbox_id=ID)
    assert fault.hits == 1
