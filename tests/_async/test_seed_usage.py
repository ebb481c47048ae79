"""Each statement of the user's documentation, in its order; the docstring is the statement."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import agents_sandbox
from agents_sandbox import (
    AgentsSandboxClient,
    CompanionContainerSpec,
    ExecAlreadyTerminalError,
    ExecEventDetails,
    ExecNotFoundError,
    ExecNotRunningError,
    HealthcheckConfig,
    MountSpec,
    SandboxClientError,
    SandboxConflictError,
    SandboxEventType,
    SandboxHandle,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxPhaseDetails,
    SandboxSequenceExpiredError,
    SandboxState,
    ServiceEventDetails,
    ServiceSpec,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import every_release, has_companions

pytestmark = every_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

QUERIES = ("ping", "get_sandbox", "list_sandboxes", "get_exec", "list_active_execs")
WAITS_BY_DEFAULT = {
    "create_sandbox": True,
    "resume_sandbox": True,
    "stop_sandbox": True,
    "delete_sandbox": True,
    "create_exec": False,
    "cancel_exec": True,
}


def parameters(method: str) -> dict[str, inspect.Parameter]:
    """The parameters of a client's method."""
    return dict(inspect.signature(getattr(AgentsSandboxClient, method)).parameters)


def fields(model: type) -> list[str]:
    """The names of a model's fields, in order."""
    return [field.name for field in dataclasses.fields(model)]


async def test_platform_default_socket(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has platform default daemon socket resolution, and needs no argument."""
    (tmp_path / "agbox").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with FakeDaemon(version=release, socket_path=tmp_path / "agbox" / "agboxd.sock"):
        async with AgentsSandboxClient() as client:
            assert (await client.ping()).daemon == "agboxd"
        client = AgentsSandboxClient()
        try:
            assert (await client.ping()).daemon == "agboxd"
        finally:
            await client.aclose()


async def test_sandbox_handle(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    """SandboxHandle has these fields, of these types."""
    assert fields(SandboxHandle)[:8] == [
        "sandbox_id",
        "state",
        "last_event_sequence",
        "required_services",
        "optional_services",
        "labels",
        "created_at",
        "image",
    ]
    assert isinstance(sandbox.sandbox_id, str)
    assert isinstance(sandbox.state, SandboxState)
    assert isinstance(sandbox.last_event_sequence, int)
    assert isinstance(sandbox.required_services, tuple)
    assert isinstance(sandbox.optional_services, tuple)
    assert dict(sandbox.labels) == {}
    assert isinstance(sandbox.created_at, datetime)
    assert isinstance(sandbox.image, str)


async def test_created_at_is_none_if_not_set_by_the_daemon(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    """created_at is None if not set by the daemon."""
    handle = pb.SandboxHandle(sandbox_id="demo-sandbox")
    daemon.faults.answer_next("GetSandbox", pb.GetSandboxResponse(sandbox=handle))
    assert (await client.get_sandbox("demo-sandbox")).created_at is None


async def test_specs_travel_and_come_back(client: AgentsSandboxClient, release: str) -> None:
    """ServiceSpec uses envs; HealthcheckConfig uses timedelta for duration fields."""
    assert fields(ServiceSpec) == [
        "name",
        "image",
        "envs",
        "healthcheck",
        "post_start_on_primary",
    ]
    assert fields(HealthcheckConfig) == [
        "test",
        "interval",
        "timeout",
        "retries",
        "start_period",
        "start_interval",
    ]
    check = HealthcheckConfig(
        ("CMD", "true"), "5s", timedelta(seconds=4), 3, start_period=2, start_interval=0.5
    )
    service = ServiceSpec("db", "postgres:16", {"A": "1"}, check, ("true",))
    handle = await client.create_sandbox(image=IMAGE, required_services=(service,))
    returned: tuple[ServiceSpec | CompanionContainerSpec, ...] = handle.required_services
    if has_companions(release):
        assert returned == ()
        returned = handle.companion_containers
    (spec,) = returned
    assert all(getattr(spec, name) == getattr(service, name) for name in fields(ServiceSpec))
    received = spec.healthcheck
    assert received is not None
    assert [
        received.interval,
        received.timeout,
        received.start_period,
        received.start_interval,
    ] == [
        timedelta(seconds=5),
        timedelta(seconds=4),
        timedelta(seconds=2),
        timedelta(milliseconds=500),
    ]


async def test_queries_return_the_latest_snapshot(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    """Query methods return the latest authoritative snapshot."""
    daemon.on_exec(("sleep",)).never()
    running = await client.create_exec(sandbox.sandbox_id, ("sleep",))
    assert (await client.list_active_execs())[0].exec_id == running.exec_id
    cancelled = await client.cancel_exec(running.exec_id)
    assert await client.get_exec(running.exec_id) == cancelled
    assert await client.list_active_execs() == []
    latest = await client.get_sandbox(sandbox.sandbox_id)
    assert latest.last_event_sequence == sandbox.last_event_sequence + 2
    assert await client.list_sandboxes() == [latest]


@pytest.mark.parametrize("method", QUERIES)
def test_queries_do_not_accept_wait(method: str) -> None:
    """Query methods do not accept wait."""
    assert "wait" not in parameters(method)


def test_list_active_execs_takes_a_keyword_only_sandbox_id() -> None:
    """list_active_execs accepts an optional keyword-only sandbox_id argument."""
    parameter = parameters("list_active_execs")["sandbox_id"]
    assert (parameter.kind, parameter.default) == (inspect.Parameter.KEYWORD_ONLY, None)


async def test_list_active_execs_filters_results(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    """list_active_execs filters results by sandbox_id."""
    daemon.on_exec(("sleep",)).never()
    other = await client.create_sandbox(image=IMAGE)
    for where in (sandbox, other):
        await client.create_exec(where.sandbox_id, ("sleep",))
    active = await client.list_active_execs(sandbox_id=other.sandbox_id)
    assert [handle.sandbox_id for handle in active] == [other.sandbox_id]


@pytest.mark.parametrize(("method", "default"), WAITS_BY_DEFAULT.items())
def test_slow_operations_have_an_explicit_wait(method: str, default: bool) -> None:
    """Slow operations use an explicit wait parameter with these defaults."""
    parameter = parameters(method)["wait"]
    assert (parameter.kind, parameter.default) == (inspect.Parameter.KEYWORD_ONLY, default)


async def test_without_wait_one_command_and_one_snapshot(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    """wait=False: sends the command, fetches one authoritative snapshot, may be in progress."""
    daemon.on_exec(("sleep",)).never()
    name = "demo-sandbox"
    with daemon.paused():
        pending = await client.create_sandbox(image=IMAGE, sandbox_id=name, wait=False)
    await wait_for(client, name, SandboxEventType.SANDBOX_READY)
    first = await client.create_exec(name, ("sleep",), exec_id="my-exec", wait=False)
    cancelled = await client.cancel_exec("my-exec", wait=False)
    with daemon.paused():
        stopping = await client.stop_sandbox(name, wait=False)
    await wait_for(client, name, SandboxEventType.SANDBOX_STOPPED)
    with daemon.paused():
        resuming = await client.resume_sandbox(name, wait=False)
    with daemon.paused():
        deleting = await client.delete_sandbox(name, wait=False)
    seen = [handle.state.name for handle in (pending, first, cancelled, stopping)]
    assert seen == ["PENDING", "RUNNING", "CANCELLED", "READY"]
    assert [resuming.state.name, deleting.state.name] == ["PENDING", "DELETING"]
    sent = [call.method for call in daemon.calls if call.method != "SubscribeSandboxEvents"]
    assert sent == [
        "Ping",
        "CreateSandbox",
        "GetSandbox",
        "CreateExec",
        "GetExec",
        "CancelExec",
        "GetExec",
        "StopSandbox",
        "GetSandbox",
        "ResumeSandbox",
        "GetSandbox",
        "DeleteSandbox",
        "GetSandbox",
    ]


async def wait_for(client: AgentsSandboxClient, sandbox_id: str, kind: SandboxEventType) -> None:
    """Follow a sandbox's events until one of the given type arrives."""
    async for event in client.subscribe_sandbox_events(sandbox_id):
        if event.event_type is kind:
            return


async def test_with_wait_the_operation_is_completed(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    """wait=True: the SDK subscribes to the event stream and waits."""

    async def completed(method: str, **arguments: Any) -> str:
        with daemon.paused():
            operation = Background(getattr(client, method), **arguments)
            await off_loop(daemon.wait_for_streams, 1)
        handle = await operation.result()
        await off_loop(daemon.wait_for_streams, 0)
        return str(handle.state.name)

    name = "demo-sandbox"
    assert await completed("create_sandbox", image=IMAGE, sandbox_id=name) == "READY"
    assert await completed("stop_sandbox", sandbox_id=name) == "STOPPED"
    assert await completed("resume_sandbox", sandbox_id=name) == "READY"
    assert await completed("delete_sandbox", sandbox_id=name) == "DELETED"


async def test_a_wait_subscribes_and_does_not_poll(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    """wait=True waits using protocol ordering: one subscription, no polling."""
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE)
        await off_loop(daemon.wait_for_streams, 1)
    await create.result()
    sent = [call.method for call in daemon.calls]
    assert sent == ["Ping", "CreateSandbox", "SubscribeSandboxEvents", "GetSandbox"]
    assert daemon.calls[2].request.from_sequence == 1


async def test_the_exec_handle_hands_off_to_the_subscription(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    """ExecHandle.last_event_sequence is the supported handoff to subscribe_sandbox_events."""
    with daemon.paused():
        handle = await client.create_exec(sandbox.sandbox_id, ("true",), exec_id="my-exec")
    events = client.subscribe_sandbox_events(
        sandbox.sandbox_id, from_sequence=handle.last_event_sequence
    )
    async for event in events:
        assert event.event_type is SandboxEventType.EXEC_FINISHED
        assert event.exec is not None
        assert event.exec.exec_id == "my-exec"
        break


async def test_run_gives_the_completed_result(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    """run(...) gives completed results, with a stdout_log_path."""
    result = await client.run(sandbox.sandbox_id, ("python", "-c", "print('hello')"))
    assert result.state.is_terminal
    assert result.stdout_log_path is not None
    assert Path(result.stdout_log_path).is_file()


async def test_events_are_typed(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    """Events have event_type, sequence, and typed sub-structs sandbox_phase, exec, service."""
    sandbox = await client.create_sandbox(
        image=IMAGE, optional_services=(ServiceSpec("redis", "redis:7"),)
    )
    await client.run(sandbox.sandbox_id, ("true",))
    found: dict[str, Any] = {}
    sequences: list[int] = []
    async for event in client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=0):
        sequences.append(event.sequence)
        assert isinstance(event.event_type, SandboxEventType)
        for name in ("sandbox_phase", "exec", "service"):
            found[name] = getattr(event, name) or found.get(name)
        if event.event_type is SandboxEventType.EXEC_FINISHED:
            break
    assert sequences == list(range(1, len(sequences) + 1))
    assert isinstance(found["sandbox_phase"], SandboxPhaseDetails)
    assert isinstance(found["exec"], ExecEventDetails)
    assert isinstance(found["service"], ServiceEventDetails)


@pytest.mark.parametrize(
    "name",
    [
        "SandboxNotFoundError",
        "SandboxNotReadyError",
        "SandboxConflictError",
        "ExecNotFoundError",
        "ExecNotRunningError",
        "ExecAlreadyTerminalError",
        "SandboxSequenceExpiredError",
    ],
)
def test_errors_have_one_base(name: str) -> None:
    """Typed errors are importable, and SandboxClientError is the base class of all."""
    assert issubclass(getattr(agents_sandbox, name), SandboxClientError)


async def test_sandbox_not_found(client: AgentsSandboxClient) -> None:
    """SandboxNotFoundError: sandbox does not exist; carries .sandbox_id."""
    with pytest.raises(SandboxNotFoundError) as caught:
        await client.get_sandbox("ghost-001")
    assert caught.value.sandbox_id == "ghost-001"


async def test_sandbox_not_ready(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    """SandboxNotReadyError: sandbox not in READY state."""
    await client.stop_sandbox(sandbox.sandbox_id)
    with pytest.raises(SandboxNotReadyError):
        await client.create_exec(sandbox.sandbox_id, ("true",))


async def test_conflicts(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    """SandboxConflictError: caller-provided ID already exists."""
    with pytest.raises(SandboxConflictError):
        await client.create_sandbox(image=IMAGE, sandbox_id=sandbox.sandbox_id)
    await client.run(sandbox.sandbox_id, ("true",), exec_id="my-exec")
    with pytest.raises(SandboxConflictError):
        await client.run(sandbox.sandbox_id, ("true",), exec_id="my-exec")


async def test_exec_not_found(client: AgentsSandboxClient) -> None:
    """ExecNotFoundError: exec does not exist."""
    with pytest.raises(ExecNotFoundError):
        await client.get_exec("ghost-001")


@pytest.mark.parametrize("error", [ExecNotRunningError, ExecAlreadyTerminalError])
async def test_cancel_of_an_exec_that_does_not_run(
    client: AgentsSandboxClient, sandbox: SandboxHandle, error: type[SandboxClientError]
) -> None:
    """ExecNotRunningError: cancel called on non-running exec; ExecAlreadyTerminalError."""
    handle = await client.run(sandbox.sandbox_id, ("true",))
    with pytest.raises(error):
        await client.cancel_exec(handle.exec_id)


async def test_sequence_expired(client: AgentsSandboxClient, sandbox: SandboxHandle) -> None:
    """SandboxSequenceExpiredError carries .from_sequence and .oldest_sequence."""
    with pytest.raises(SandboxSequenceExpiredError) as caught:
        async for _ in client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=99):
            pytest.fail("no event can come")
    assert (caught.value.from_sequence, caught.value.oldest_sequence) == (99, None)


async def test_errors_are_translated_from_structured_metadata(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    """Errors are translated from gRPC structured error metadata (domain, reason, metadata)."""
    daemon.faults.fail_next(
        "Ping",
        code="OUT_OF_RANGE",
        message="sandbox x was not found",
        reason="SANDBOX_EVENT_SEQUENCE_EXPIRED",
        metadata={"sandbox_id": "demo", "from_sequence": "7", "oldest_sequence": "3"},
    )
    with pytest.raises(SandboxSequenceExpiredError) as caught:
        await client.ping()
    assert caught.value.sandbox_id == "demo"
    assert (caught.value.from_sequence, caught.value.oldest_sequence) == (7, 3)


async def test_advanced_orchestration(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    """Advanced orchestration: wait=False + subscribe_sandbox_events."""
    with daemon.paused():
        handle = await client.create_sandbox(image=IMAGE, wait=False)
        following = Background(wait_for, client, handle.sandbox_id, SandboxEventType.SANDBOX_READY)
        await off_loop(daemon.wait_for_streams, 1)
    await following.result()
    assert (await client.get_sandbox(handle.sandbox_id)).state is SandboxState.READY


async def test_declarative_config(client: AgentsSandboxClient) -> None:
    """Declarative config: pass config_yaml=..."""
    handle = await client.create_sandbox(image=IMAGE, config_yaml="labels: {team: core}")
    assert (handle.image, handle.labels) == (IMAGE, {"team": "core"})


async def users_script(client: AgentsSandboxClient, workspace: Path) -> list[str]:
    """A script as a reader of the documentation might write it; returns notes on what happened."""
    sandbox = await client.create_sandbox(
        image=IMAGE,
        sandbox_id="demo-sandbox",
        mounts=(MountSpec(source=workspace, target="/workspace", writable=True),),
        required_services=(
            ServiceSpec(
                name="postgres",
                image="postgres:16",
                envs={"POSTGRES_PASSWORD": "secret"},
                healthcheck=HealthcheckConfig(
                    test=("CMD-SHELL", "pg_isready -U postgres"), interval="5s", retries=5
                ),
                post_start_on_primary=("python -c \"print('seeded')\"",),
            ),
        ),
        optional_services=(ServiceSpec(name="redis", image="redis:7"),),
        labels={"team": "core"},
        envs={"DEBUG": "1"},
        idle_ttl="30m",
    )
    notes = [f"{sandbox.sandbox_id} of {sandbox.image} is {sandbox.state.name}"]
    services: set[str] = set()
    async for event in client.subscribe_sandbox_events(sandbox.sandbox_id, timeout_seconds=20):
        if event.event_type is SandboxEventType.SANDBOX_SERVICE_READY and event.service:
            services.add(event.service.service_name)
        if len(services) == 2:
            break
    notes.append(f"services: {', '.join(sorted(services))}")
    for command in (("make", "test"), ("make", "fail")):
        result = await client.run(sandbox.sandbox_id, command, env_overrides={"CI": "1"})
        output = Path(result.stdout_log_path or "").read_text("utf-8")
        notes.append(f"{result.state.name} with {result.exit_code}: {output}")
    await client.create_exec(sandbox.sandbox_id, ("sleep", "60"), exec_id="my-exec")
    cancelled = await client.cancel_exec("my-exec")
    notes.append(f"{cancelled.exec_id} is {cancelled.state.name}")
    notes.append((await client.stop_sandbox(sandbox.sandbox_id)).state.name)
    try:
        await client.run(sandbox.sandbox_id, ("make", "test"))
    except SandboxNotReadyError as error:
        notes.append(f"{error.sandbox_id} is not ready")
    notes.append((await client.resume_sandbox(sandbox.sandbox_id)).state.name)
    for handle in await client.list_sandboxes(label_selector={"team": "core"}):
        notes.append(f"found {handle.sandbox_id}, {dict(handle.labels)}")
        notes.append((await client.delete_sandbox(handle.sandbox_id)).state.name)
    return notes


async def test_a_users_script_runs_unchanged_on_every_release(
    client: AgentsSandboxClient, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """The documented API is one for all daemons."""
    daemon.on_exec(("make", "test")).stdout("2 passed").exit(0)
    daemon.on_exec(("make", "fail")).stdout("1 failed").exit(2)
    daemon.on_exec(("sleep", "60")).never()
    assert await users_script(client, tmp_path) == [
        f"demo-sandbox of {IMAGE} is READY",
        "services: postgres, redis",
        "FINISHED with 0: 2 passed",
        "FAILED with 2: 1 failed",
        "my-exec is CANCELLED",
        "STOPPED",
        "demo-sandbox is not ready",
        "READY",
        "found demo-sandbox, {'team': 'core'}",
        "DELETED",
    ]
    (created,) = (call.request for call in daemon.calls if call.method == "CreateSandbox")
    spec = created.create_spec
    assert (spec.labels, spec.envs) == ({"team": "core"}, {"DEBUG": "1"})
    assert (spec.idle_ttl.seconds, spec.mounts[0].source) == (1800, str(tmp_path))
