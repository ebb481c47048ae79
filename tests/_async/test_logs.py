"""What the client logs: calls at DEBUG, what changes the course at INFO, leftovers as warnings."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from typing import Any, NoReturn

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxHandle,
    SandboxLeftoverWarning,
    SandboxNotFoundError,
    SandboxNotReadyError,
    ServiceSpec,
)
from agents_sandbox._deadline import Deadline
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..releases import any_release, each_dialect
from .conftest import IMAGE, AtPause
from .life import ID, restart, stop_through_a_restart

pytestmark = any_release

SECRET = "s3cret"


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The records from INFO on."""
    caplog.set_level(logging.INFO, "agents_sandbox")
    return caplog


def logged(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    """What one of the loggers has got; numbers with a fraction are a matter of time."""
    return [
        re.sub(r"\d+\.\d+ (?=m?s)", "N ", record.getMessage())
        for record in caplog.records
        if record.name == f"agents_sandbox.{name}"
    ]


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The records of the clients; older gRPC logs harmless errors of its own."""
    return [record for record in caplog.records if record.name.startswith("agents_sandbox")]


def levels(caplog: pytest.LogCaptureFixture) -> set[int]:
    """The levels of the records of the clients."""
    return {record.levelno for record in ours(caplog)}


@each_dialect
async def test_a_command_that_was_lost_is_logged(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    daemon.on_exec(("train",)).never()
    run = Background(client.run, ID, ("train",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    await restart(daemon)
    assert (await run.result()).exit_code is None
    assert logged(info, "calls") == ["exec my-exec has ended without an exit code: FAILED"]
    await client.run(ID, ("true",))
    assert len(logged(info, "calls")) == 1


async def test_each_call_is_logged_with_ids_duration_and_outcome(
    client: AgentsSandboxClient, sandbox: SandboxHandle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agents_sandbox.calls")
    await client.get_sandbox(ID)
    with pytest.raises(SandboxNotFoundError):
        await client.get_sandbox("a ghost")
    await client.create_exec(ID, ("true",), exec_id="my-exec")
    reason = "NOT_FOUND SANDBOX_NOT_FOUND"
    assert logged(caplog, "calls") == [
        "get_sandbox sandbox_id=demo-sandbox: OK after N ms",
        f"get_sandbox sandbox_id='a ghost': SandboxNotFoundError {reason} after N ms",
        "create_exec sandbox_id=demo-sandbox exec_id=my-exec: OK after N ms",
        "get_exec exec_id=my-exec: OK after N ms",
    ]
    assert levels(caplog) == {logging.DEBUG}


async def test_the_end_of_a_stream_is_logged(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "agents_sandbox.calls")
    stream = "subscribe_sandbox_events sandbox_id=demo-sandbox: "
    async with client.subscribe_sandbox_events(
        ID, from_sequence=sandbox.last_event_sequence, resume=False
    ) as events:
        reading = Background(step, events)
        await off_loop(daemon.wait_for_streams, 1)
        daemon.faults.drop_streams()
        with pytest.raises(DaemonUnavailableError):
            await reading.result()
    async with client.subscribe_sandbox_events(
        ID, from_sequence=sandbox.last_event_sequence, resume=False
    ) as events:
        reading = Background(step, events)
        await off_loop(daemon.wait_for_streams, 1)
        daemon.faults.end_streams()
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await reading.result()
    assert [line for line in logged(caplog, "calls") if stream in line] == [
        f"{stream}DaemonUnavailableError UNAVAILABLE after N ms",
        f"{stream}ended by the daemon after N ms",
    ]


async def test_a_stream_that_is_left_is_logged_once_and_at_once(
    client: AgentsSandboxClient, sandbox: SandboxHandle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agents_sandbox.calls")
    async with client.subscribe_sandbox_events(ID) as events:
        await step(events)
        assert logged(caplog, "calls") == []
    line = "subscribe_sandbox_events sandbox_id=demo-sandbox: cancelled after N ms"
    assert logged(caplog, "calls") == [line]
    await events.aclose()
    assert logged(caplog, "calls") == [line]


async def test_nothing_secret_is_logged(
    client: AgentsSandboxClient, daemon: FakeDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    daemon.on_exec(("login", SECRET)).stdout(SECRET).stderr(SECRET).exit(1)
    envs = {"TOKEN": SECRET}
    async with client.sandbox(
        image=IMAGE,
        config_yaml=f"envs: {{OTHER: {SECRET}}}",
        envs=envs,
        labels={"team": SECRET},
        optional_services=[ServiceSpec("db", "db:1", envs)],
    ) as sandbox:
        daemon.faults.drop_streams()
        result = await sandbox.run(("login", SECRET), env_overrides=envs, input=SECRET)
        await restart(daemon)
        await client.list_sandboxes(label_selector={"team": SECRET})
        with pytest.raises(SandboxClientError):
            await client.create_sandbox(config_yaml=f"{SECRET}: [")
        with pytest.raises(SandboxClientError):
            await client.run(sandbox, ("login", SECRET), cwd=f"/{SECRET}", check=True)
    assert SECRET in result.stdout
    assert len(ours(caplog)) > 10
    for record in ours(caplog):
        assert SECRET not in f"{record.getMessage()} {record.args!r}"


@each_dialect
async def test_a_wait_through_a_restart_can_be_understood(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    await stop_through_a_restart(client, daemon)
    lost, *_, answers, resumes = (
        line for line in logged(info, "connection") if line.startswith("events of sandbox")
    )
    assert lost.startswith(f"events of sandbox {ID}: DaemonUnavailableError UNAVAILABLE: ")
    assert lost.endswith(". Retry 1 in N s")
    assert re.match(f"events of sandbox {ID}: the daemon answers again after N s and ", answers)
    assert re.fullmatch(f"events of sandbox {ID}: the stream resumes after event [34]", resumes)
    assert (
        f"stop of sandbox {ID}: a restart of the daemon has lost it. It is sent again"
    ) in logged(info, "connection")
    assert levels(info) == {logging.INFO}


@pytest.mark.usefixtures("pauses")
async def test_a_call_says_when_it_is_retried_and_when_the_daemon_answers(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    quoting = f"['login', '{SECRET}']\n\x1b[31mforged line"
    daemon.faults.fail_next("GetSandbox", code="UNAVAILABLE", message=quoting, times=2)
    await client.get_sandbox(ID)
    daemon.faults.fail_next("GetExec", code="UNAVAILABLE")
    with pytest.raises(SandboxClientError):
        await client.get_exec("ghost")
    daemon.faults.fail_next("ListSandboxes", code="UNAVAILABLE")
    await client.list_sandboxes()
    first, answers, *others = logged(info, "connection")
    cause = (
        "DaemonUnavailableError UNAVAILABLE: the socket accepts connections, but the call failed"
    )
    assert first == f"get_sandbox of sandbox demo-sandbox: {cause}. Retry 1 in N s"
    # The second failure has the same cause.
    assert answers == (
        "get_sandbox of sandbox demo-sandbox: the daemon answers again after N s and 2 retries"
    )
    assert others[0] == f"get_exec of exec ghost: {cause}. Retry 1 in N s"
    # With an error, but it answers.
    assert others[1] == "get_exec of exec ghost: the daemon answers again after N s and 1 retry"
    assert others[2] == f"list_sandboxes: {cause}. Retry 1 in N s"
    assert others[3] == "list_sandboxes: the daemon answers again after N s and 1 retry"
    assert len(others) == 4


@pytest.mark.usefixtures("sandbox")
@each_dialect
async def test_an_outage_is_reported_once_for_a_call(
    client: AgentsSandboxClient,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
    at_pause: AtPause,
) -> None:
    await off_loop(daemon.kill)
    at_pause(3, daemon.start)
    await client.list_sandboxes()  # it also asks for the release
    first, *more, last = logged(info, "connection")
    assert first.startswith("list_sandboxes: DaemonUnavailableError UNAVAILABLE: ")
    assert not [line for line in more if "Retry 1 " in line or "again" in line]
    assert last.startswith("list_sandboxes: the daemon answers again after ")


async def test_a_request_that_reaches_no_daemon_is_not_reported_as_sent(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
    at_pause: AtPause,
) -> None:
    await off_loop(daemon.kill)
    at_pause(3, daemon.start)
    command = await client.create_exec(ID, ("true",), wait=False)
    (sent,) = (line for line in logged(info, "connection") if "sent again" in line)
    assert sent.startswith(f"create_exec of {command.exec_id} was sent again, attempt ")


async def test_a_stream_that_is_closed_during_an_outage_says_so(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    events = client.subscribe_sandbox_events(ID, from_sequence=sandbox.last_event_sequence)
    reading = Background(step, events)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.kill)
    while not logged(info, "connection"):
        await off_loop(lambda: None)
    await events.aclose()
    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await reading.result()
    *_, closed = logged(info, "connection")
    assert closed.startswith(f"events of sandbox {ID}: closed after N s and ")


async def test_the_time_limit_of_a_stream_ends_an_outage_once(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    await off_loop(daemon.kill)
    with pytest.raises(OperationTimeoutError) as caught:
        await step(client.subscribe_sandbox_events(ID, timeout_seconds=0.3))
    assert caught.value.timeout_seconds == 0.3
    assert isinstance(caught.value.__cause__, DaemonUnavailableError)
    ended = f"events of sandbox {ID}: time limit after N s and "
    assert [line.startswith(ended) for line in logged(info, "connection")].count(True) == 1


async def test_after_the_time_limit_no_outage_begins(
    client: AgentsSandboxClient, info: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object, watched: bool) -> NoReturn:
        raise DaemonUnavailableError("lost")

    events: Any = client.subscribe_sandbox_events(ID)
    monkeypatch.setattr(events._events._daemon, "subscribe_sandbox_events", lose)
    events._events._deadline = Deadline(0.0)
    with pytest.raises(OperationTimeoutError):
        await step(events)
    assert ours(info) == []


@pytest.mark.usefixtures("pauses")
async def test_a_stream_that_the_daemon_ends_resumes(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    async with client.subscribe_sandbox_events(
        ID, from_sequence=sandbox.last_event_sequence
    ) as events:
        reading = Background(step, events)
        await off_loop(daemon.wait_for_streams, 1)
        daemon.faults.end_streams()
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=3)
        await client.stop_sandbox(ID, wait=False)
        await reading.result()
    assert logged(info, "connection")[0] == (
        f"events of sandbox {ID}: the daemon ended the stream after event 3. It resumes in N s"
    )


@pytest.mark.usefixtures("pauses")
async def test_requests_that_are_sent_again(
    client: AgentsSandboxClient, daemon: FakeDaemon, info: pytest.LogCaptureFixture
) -> None:
    with daemon.faults.burning_ids(times=1):
        sandbox = await client.create_sandbox(image=IMAGE)
    burnt = next(c for c in daemon.calls if c.method == "CreateSandbox").request.sandbox_id
    create = f"create_sandbox of {burnt}"
    assert f"{create} was sent again, attempt 2" in logged(info, "connection")
    renewed = (
        f"{create}: a crash of the daemon has lost it. It is sent again with the id "
        f"{sandbox.sandbox_id}"
    )
    assert renewed in logged(info, "connection")
    info.clear()
    with daemon.faults.losing_answers(method="CreateExec", times=1):
        command = await client.create_exec(sandbox, ("true",))
    assert f"create_exec of {command.exec_id}: an earlier attempt has succeeded" in (
        logged(info, "connection")
    )


async def test_another_release_of_the_daemon_is_reported(info: pytest.LogCaptureFixture) -> None:
    with FakeDaemon(version="0.2.1") as old:
        client = AgentsSandboxClient(old.socket_path)
        await client.list_sandboxes()
        await off_loop(old.stop)
        with FakeDaemon(version="0.4.3", socket_path=old.socket_path):
            await client.list_sandboxes()
        await client.aclose()
    assert "the daemon is 0.4.3 now; it was 0.2.1" in logged(info, "connection")


async def test_a_sandbox_that_comes_back_is_deleted_again(
    client: AgentsSandboxClient, daemon: FakeDaemon, info: pytest.LogCaptureFixture
) -> None:
    with daemon.paused() as pause:
        await client.create_sandbox(image=IMAGE, sandbox_id=ID, wait=False)
        pause.step()  # the create is in progress in Docker
        deleting = Background(client.delete_sandbox, ID)
        await off_loop(daemon.wait_for_streams, 1)
    await deleting.result()
    lost = "it came back, or a restart has lost the delete"
    assert logged(info, "cleanup") == [f"sandbox {ID} is deleted again: {lost}"]


async def test_a_delete_at_the_end_of_a_block_that_is_tried_again(
    daemon: FakeDaemon, info: pytest.LogCaptureFixture
) -> None:
    async with AgentsSandboxClient(daemon.socket_path, timeout_seconds=0.05) as client:
        with ExitStack() as faults:
            async with client.sandbox(image=IMAGE, timeout_seconds=20) as sandbox:
                faults.enter_context(daemon.faults.delaying(3600, method="GetSandbox", times=1))
    (line,) = logged(info, "cleanup")
    why = "OperationTimeoutError DEADLINE_EXCEEDED"
    assert line == f"delete of sandbox {sandbox.id} failed: {why}. It is tried again in N s"


async def test_what_a_block_leaves_behind_is_a_warning(
    client: AgentsSandboxClient, daemon: FakeDaemon, info: pytest.LogCaptureFixture
) -> None:
    daemon.faults.fail_next("DeleteSandbox", code="INTERNAL", message=f"{SECRET}\n", times=2)
    with pytest.raises(SandboxClientError):
        async with client.sandbox(image=IMAGE) as sandbox:
            pass
    with pytest.warns(SandboxLeftoverWarning), pytest.raises(KeyError):
        async with client.sandbox(image=IMAGE) as other:
            raise KeyError
    warned = [record for record in ours(info) if record.levelno == logging.WARNING]
    assert [record.name for record in warned] == ["agents_sandbox.cleanup"] * 2
    for record, left in zip(warned, (sandbox, other), strict=True):
        why = "because its delete failed: delete it later: DaemonError INTERNAL"
        assert record.getMessage() == f"sandbox {left.id} may exist, {why}"


async def test_somebody_elses_sandbox_stays(
    client: AgentsSandboxClient, daemon: FakeDaemon, info: pytest.LogCaptureFixture
) -> None:
    await client.create_sandbox(image=IMAGE, sandbox_id="my-sandbox")
    daemon.faults.fail_next("CreateSandbox", code="UNAVAILABLE")
    with pytest.raises(DaemonUnavailableError):
        async with client.sandbox(image=IMAGE, sandbox_id="my-sandbox"):
            pass
    assert logged(info, "cleanup") == ["sandbox my-sandbox stays: this block did not create it"]


async def test_a_command_that_may_still_run_is_a_warning(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    info: pytest.LogCaptureFixture,
) -> None:
    daemon.on_exec(("train",)).never()
    with pytest.raises(SandboxNotReadyError):
        async with client.start_exec(ID, ("train",)) as process:
            daemon.faults.fail_next("GetExec", code="INTERNAL", times=2)
            await client.stop_sandbox(ID)
            await client.run(ID, ("true",))
    (line,) = logged(info, "cleanup")
    assert line == f"exec {process.exec_id} may still be running: DaemonError INTERNAL"
