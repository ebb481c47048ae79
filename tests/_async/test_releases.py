"""One client for all releases: it detects the daemon's release and drops nothing silently."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    AsyncSandboxEventStream,
    CompanionContainerSpec,
    DaemonError,
    DaemonUnavailableError,
    HealthcheckConfig,
    InvalidArgumentError,
    OperationTimeoutError,
    PortMapping,
    ProtocolError,
    SandboxClientError,
    SandboxEvent,
    SandboxFailedError,
    SandboxState,
    ServiceSpec,
    UnsupportedByDaemonError,
    UnsupportedDaemonError,
)
from agents_sandbox._deadline import IN_TOUCH_SECONDS
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .._aio import Background, off_loop

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
RELEASES = ["0.2.0", "0.2.1", "0.3.0", "0.3.1", "0.3.2", "0.4.0", "0.4.1", "0.4.2", "0.4.3"]
HEALTHCHECK = HealthcheckConfig(("CMD", "true"), interval=0.01)


@pytest.fixture(params=["0.2.1", "0.4.3"])
def daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    """A daemon of the newest release of each wire dialect."""
    with FakeDaemon(version=request.param) as running:
        yield running
        running.wait_for_streams(0)


@pytest.fixture
async def client(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    """A client of the test's daemon."""
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=20) as opened:
        yield opened


async def first(events: AsyncSandboxEventStream) -> SandboxEvent:
    """The next event of a stream."""
    async for event in events:
        return event
    raise AssertionError("the stream ended")


def methods(daemon: FakeDaemon) -> list[str]:
    """The recorded RPCs, in order."""
    return [call.method for call in daemon.calls]


def pings(daemon: FakeDaemon) -> int:
    return methods(daemon).count("Ping")


def last_spec(daemon: FakeDaemon) -> Any:
    """The spec of the newest create, as the daemon received it."""
    return [call for call in daemon.calls if call.method == "CreateSandbox"][-1].message.create_spec


@pytest.mark.parametrize("version", RELEASES)
async def test_one_ping_serves_all_calls(version: str) -> None:
    with FakeDaemon(version=version) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            handle = await client.create_sandbox(image=IMAGE, labels={"team": "core"})
            assert await client.get_sandbox(handle.sandbox_id) == handle
            assert await client.list_sandboxes() == [handle]
            await client.create_sandbox(image=IMAGE)
            assert (handle.image, handle.labels) == (IMAGE, {"team": "core"})
            assert methods(daemon)[0] == "Ping"
            assert pings(daemon) == 1


async def test_what_is_the_same_in_all_releases_needs_none(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep", "60")).never()
    async with AgentsSandboxClient(daemon.socket_path, daemon_version=daemon.version) as knowing:
        sandbox_id = (await knowing.create_sandbox(image=IMAGE)).sandbox_id
    async with client.subscribe_sandbox_events(sandbox_id) as events:
        await first(events)
    await client.run(sandbox_id, ("ls",))
    exec_id = (await client.create_exec(sandbox_id, ("sleep", "60"))).exec_id
    assert [item.exec_id for item in await client.list_active_execs()] == [exec_id]
    await client.cancel_exec(exec_id)
    await client.delete_sandboxes({"team": "none"}, wait=False)
    assert pings(daemon) == 0
    await client.stop_sandbox(sandbox_id, wait=False)
    assert methods(daemon).index("StopSandbox") < methods(daemon).index("Ping")
    assert pings(daemon) == 1


async def test_calls_share_a_ping_each_for_as_long_as_it_has_time(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.delaying(60, method="Ping"):
        patient = Background(client.list_sandboxes, timeout_seconds=30)
        await off_loop(daemon.wait_for_call, "Ping")
        with pytest.raises(OperationTimeoutError, match="did not report its release") as caught:
            await client.get_sandbox("demo-sandbox", timeout_seconds=0.05)
        assert (caught.value.timeout_seconds, caught.value.sandbox_id) == (0.05, "demo-sandbox")
        others = [Background(client.list_sandboxes, timeout_seconds=30) for _ in range(5)]
    assert [await call.result() for call in (patient, *others)] == [[]] * 6
    assert methods(daemon) == ["Ping", *["ListSandboxes"] * 6]


async def test_the_first_call_to_ask_can_time_out_without_affecting_the_others(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.delaying(60, method="Ping", times=1):
        hasty = Background(client.list_sandboxes, timeout_seconds=0.5)
        await off_loop(daemon.wait_for_call, "Ping")
        assert await client.list_sandboxes(timeout_seconds=30) == []
    with pytest.raises(OperationTimeoutError):
        await hasty.result()
    assert methods(daemon) == ["Ping", "Ping", "ListSandboxes"]


async def test_a_frozen_daemon_is_asked_again_when_it_resumes(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.ping()
    with daemon.faults.half_open():
        calls = [Background(client.list_sandboxes, timeout_seconds=0.2) for _ in range(3)]
        for call in calls:
            with pytest.raises(OperationTimeoutError):
                await call.result()
    assert await client.list_sandboxes(timeout_seconds=30) == []


async def test_the_release_is_asked_again_after_a_gap_whoever_was_answered_first(
    client: AgentsSandboxClient, daemon: FakeDaemon, pauses: list[float]
) -> None:
    """Behind a forwarded socket, nothing else shows that there may be another daemon."""
    await client.list_sandboxes()
    await client.list_sandboxes()
    pauses.append(IN_TOUCH_SECONDS + 1.0)  # the client's clock moves on
    await client.list_active_execs()
    await client.list_sandboxes()
    assert methods(daemon) == [
        *("Ping", "ListSandboxes", "ListSandboxes"),
        *("ListActiveExecs", "Ping", "ListSandboxes"),
    ]


@pytest.mark.parametrize("name", ["create_sandbox", "get_sandbox", "list_sandboxes"])
async def test_an_absent_daemon_is_an_error_of_the_call_itself(tmp_path: Path, name: str) -> None:
    async with AgentsSandboxClient(tmp_path / "agboxd.sock") as client:
        calls: dict[str, Callable[[], Any]] = {
            "create_sandbox": lambda: client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox"),
            "get_sandbox": lambda: client.get_sandbox("demo-sandbox"),
            "list_sandboxes": client.list_sandboxes,
        }
        with pytest.raises(DaemonUnavailableError) as caught:
            await calls[name]()
        expected = None if name == "list_sandboxes" else "demo-sandbox"
        assert caught.value.sandbox_id == expected


def crash(daemon: FakeDaemon) -> None:
    daemon.kill()


def crash_without_a_trace(daemon: FakeDaemon) -> None:
    daemon.kill(stale_socket=False)


def stop(daemon: FakeDaemon) -> None:
    daemon.stop()


def go_down(daemon: FakeDaemon) -> None:
    """Shut down, but continue while a client has a stream open."""
    daemon.terminate()


@pytest.mark.parametrize("end", [stop, crash, crash_without_a_trace, go_down])
@pytest.mark.parametrize("streaming", [False, True], ids=["idle", "streaming"])
@pytest.mark.parametrize(("old", "new"), [("0.2.1", "0.4.3"), ("0.4.3", "0.2.1")])
async def test_a_daemon_may_be_replaced_by_one_of_another_release(
    tmp_path: Path, old: str, new: str, streaming: bool, end: Callable[[FakeDaemon], None]
) -> None:
    path = tmp_path / "agboxd.sock"
    asked: dict[str, Any] = {"labels": {"team": "core"}, "envs": {"A": "1"}}
    daemon = FakeDaemon(version=old, socket_path=path)
    await off_loop(daemon.start)
    async with AgentsSandboxClient(path) as client:
        handle = await client.create_sandbox(image=IMAGE, **asked)
        assert (handle.image, handle.labels) == (IMAGE, asked["labels"])
        events = client.subscribe_sandbox_events(handle.sandbox_id)
        if streaming:
            await first(events)
        await off_loop(end, daemon)
        with FakeDaemon(version=new, socket_path=path) as successor:
            handle = await client.create_sandbox(image=IMAGE, **asked)
            assert (handle.image, handle.labels) == (IMAGE, asked["labels"])
            spec = last_spec(successor)
            assert {"labels": spec.labels, "envs": spec.envs} == asked
            assert await client.list_sandboxes() == [handle]
            assert pings(successor) == 1
        await events.aclose()
    await off_loop(daemon.stop)


async def test_an_answer_of_a_daemon_that_was_replaced_since_does_not_count(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.delaying(60, method="Ping", times=1):
        create = Background(client.create_sandbox, image=IMAGE, timeout_seconds=30)
        await off_loop(daemon.wait_for_call, "Ping")
        # The only visible sign of a new daemon is another socket file.
        Path(daemon.socket_path).touch()
    assert (await create.result()).state is SandboxState.READY
    assert methods(daemon)[:3] == ["Ping", "Ping", "CreateSandbox"]


async def test_a_lost_connection_makes_the_client_ask_again(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    assert pings(daemon) == 1
    daemon.faults.fail_next("StopSandbox", code="UNAVAILABLE")
    with pytest.raises(DaemonUnavailableError):
        await client.stop_sandbox(handle.sandbox_id)
    await client.list_sandboxes()
    assert pings(daemon) == 2
    events = client.subscribe_sandbox_events(handle.sandbox_id, resume=False)
    await first(events)
    await off_loop(daemon.faults.drop_streams)
    with pytest.raises(DaemonUnavailableError):
        async for _ in events:
            pass
    await client.list_sandboxes()
    assert pings(daemon) == 3


async def test_an_answer_in_another_dialect_makes_the_client_ask_again(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    daemon.faults.answer_next("GetSandbox", b"\xff")
    with pytest.raises(ProtocolError, match="speaks another wire dialect"):
        await client.get_sandbox(handle.sandbox_id)
    assert await client.get_sandbox(handle.sandbox_id) == handle
    assert pings(daemon) == 2


@pytest.mark.parametrize("version", ["0.2.1", "0.4.3"])
async def test_a_given_release_is_not_asked_for(version: str) -> None:
    with FakeDaemon(version=version, reported_version="dev") as daemon:
        async with AgentsSandboxClient(daemon.socket_path, daemon_version=version) as client:
            handle = await client.create_sandbox(image=IMAGE, labels={"team": "core"})
            assert handle.labels == {"team": "core"}
        assert pings(daemon) == 0
        assert methods(daemon).count("CreateSandbox") == 1


async def test_a_wrong_release_is_reported() -> None:
    with FakeDaemon(version="0.4.3") as daemon:
        async with AgentsSandboxClient(daemon.socket_path, daemon_version="0.2.1") as client:
            with pytest.raises(ProtocolError, match="speaks another wire dialect") as caught:
                await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
            assert caught.value.sandbox_id == "demo-sandbox"


@pytest.mark.parametrize(
    ("version", "error"),
    [
        *((bad, InvalidArgumentError) for bad in ("dev", "", "0.4", "v0.4.3", "0.4.3-alpha.3")),
        *((bad, UnsupportedDaemonError) for bad in ("0.1.9", "1.0.0")),
    ],
)
def test_a_bad_release_is_refused_immediately(
    version: str, error: type[SandboxClientError]
) -> None:
    with pytest.raises(error):
        AgentsSandboxClient("/nowhere", daemon_version=version)


TOLD = {"0.2.1": "0.2.0", "0.3.1": "0.3.0", "0.3.2": "0.3.0", "0.4.2": "0.4.1"}
"""The release that the probe finds for a release that has no new field."""


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("reported", ["dev", "0.4.3-alpha.3", "v?"])
async def test_a_daemon_that_does_not_report_its_release_is_probed(
    version: str, reported: str
) -> None:
    with FakeDaemon(version=version, reported_version=reported) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            assert await client.list_sandboxes(include_deleted=True) == []
            probes = [call.message for call in daemon.calls if call.method == "CreateSandbox"]
            assert probes
            assert not any(probe.HasField("create_spec") or probe.sandbox_id for probe in probes)
            if version == "0.4.3":
                await client.create_sandbox(image=IMAGE, gpus="all")
            else:
                with pytest.raises(UnsupportedByDaemonError) as caught:
                    await client.create_sandbox(image=IMAGE, gpus="all")
                assert caught.value.daemon_version == reported
                assert f"{reported} (like {TOLD.get(version, version)})" in str(caught.value)
                assert caught.value.sandbox_id is not None
            handle = await client.create_sandbox(image=IMAGE, labels={"team": "core"})
            assert handle.labels == {"team": "core"}
            assert pings(daemon) == 1
            created = [call.request for call in daemon.calls if call.method == "CreateSandbox"]
            assert len(created) == len(probes) + 1 + (version == "0.4.3")


async def test_a_probe_with_another_outcome_detects_nothing(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    answers: list[tuple[str, type[SandboxClientError], str]] = [
        ("INVALID_ARGUMENT", ProtocolError, "release cannot be detected: create_sandbox: no yaml"),
        ("INTERNAL", DaemonError, "create_sandbox: no yaml"),
    ]
    for code, error, message in answers:
        daemon.faults.answer_next("Ping", pb.PingResponse(version="dev", daemon="agboxd"))
        daemon.faults.fail_next("CreateSandbox", code=code, message="no yaml")
        with pytest.raises(error, match=message):
            await client.list_sandboxes()
    daemon.faults.answer_next("Ping", pb.PingResponse(version="dev", daemon="agboxd"))
    daemon.faults.answer_next("CreateSandbox", pb.CreateSandboxResponse())
    with pytest.raises(ProtocolError, match="accepted a create without an image"):
        await client.list_sandboxes()


@pytest.mark.parametrize("reported", ["0.4.4", "0.4.9", "0.5.0", "0.5.0-alpha.1"])
async def test_a_newer_daemon_is_treated_as_the_newest_known_with_one_warning(
    reported: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agents_sandbox")
    with FakeDaemon(version="0.4.3", reported_version=reported) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            await client.create_sandbox(image=IMAGE, gpus="all")
            daemon.faults.fail_next("StopSandbox", code="UNAVAILABLE")
            with pytest.raises(DaemonUnavailableError):
                await client.stop_sandbox("demo-sandbox", wait=False)
            await client.create_sandbox(image=IMAGE, gpus="all")
        assert (last_spec(daemon).gpus, pings(daemon)) == ("all", 2)
    (record,) = [item for item in caplog.records if item.name == "agents_sandbox.connection"]
    assert record.levelno == logging.WARNING
    assert f"daemon {reported} is newer" in record.getMessage()
    assert "like 0.4.3: upgrade the SDK" in record.getMessage()


@pytest.mark.parametrize("version", RELEASES)
async def test_a_known_daemon_is_no_cause_for_a_warning(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeDaemon(version=version) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            await client.list_sandboxes()
    assert not [item for item in caplog.records if item.name == "agents_sandbox.connection"]


@pytest.mark.parametrize("reported", ["1.0.0", "2.3.4", "1.0.0-rc.1", "0.1.9", "0.0.0"])
async def test_a_daemon_of_an_unknown_kind_is_refused(reported: str) -> None:
    with FakeDaemon(version="0.4.3", reported_version=reported) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(UnsupportedDaemonError, match=r"supports 0\.2\.0 up to") as caught:
                await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
            assert caught.value.daemon_version == reported
            assert caught.value.sandbox_id == "demo-sandbox"
            assert methods(daemon) == ["Ping"]


async def test_a_daemon_of_another_name_is_refused(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.answer_next("Ping", pb.PingResponse(version="0.4.3", daemon="other"))
    with pytest.raises(ProtocolError, match="the peer calls itself 'other': it is not an agents-"):
        await client.create_sandbox(image=IMAGE)
    daemon.faults.answer_next("Ping", b"\xff")
    with pytest.raises(
        ProtocolError, match="ping: the answer cannot be decoded: the peer is not an agents-sandbox"
    ):
        await client.create_sandbox(image=IMAGE)
    daemon.faults.fail_next("Ping", code="INTERNAL", message="disk full")
    with pytest.raises(DaemonError, match="ping: disk full"):
        await client.create_sandbox(image=IMAGE)
    assert methods(daemon) == ["Ping"] * 3


@contextmanager
def another_server(path: Path) -> Iterator[None]:
    """Run a gRPC server that does not know any of the daemon's RPCs."""
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


async def test_a_server_that_is_no_daemon_is_refused(tmp_path: Path) -> None:
    with another_server(tmp_path / "other.sock"):
        async with AgentsSandboxClient(tmp_path / "other.sock") as client:
            with pytest.raises(
                ProtocolError, match="does not know ping: it is not an agents-"
            ) as caught:
                await client.create_sandbox(image=IMAGE)
            assert caught.value.code == "UNIMPLEMENTED"


COMPANION = CompanionContainerSpec(
    "cache", "redis:7", {"A": "1"}, HEALTHCHECK, post_start_on_primary=("echo",)
)
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "companion_containers": ("0.3.0", {"companion_containers": [COMPANION]}),
    "ports": ("0.4.0", {"ports": [PortMapping(8080, 18080), PortMapping(53, 10053, "udp")]}),
    "command": ("0.4.0", {"command": ["sleep", "60"]}),
    "cpu_limit": ("0.4.1", {"cpu_limit": "0.5"}),
    "memory_limit": ("0.4.1", {"memory_limit": "512m"}),
    "disk_limit": ("0.4.1", {"disk_limit": "10g"}),
    "gpus": ("0.4.3", {"gpus": "all"}),
}
COMPANION_FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    name: FIELDS[name] for name in ("command", "cpu_limit", "memory_limit", "disk_limit")
}


def sent(value: Any) -> Any:
    """A value as the daemon should receive it."""
    if isinstance(value, PortMapping):
        return value.container_port, value.host_port, value.protocol
    if isinstance(value, CompanionContainerSpec):
        return value.name, value.image, dict(value.envs), list(value.post_start_on_primary)
    return value if isinstance(value, str) else [sent(item) for item in value]


def seen(value: Any) -> Any:
    """The same, of a message."""
    if hasattr(value, "host_port"):
        return value.container_port, value.host_port, ("tcp", "udp", "sctp")[value.protocol]
    if hasattr(value, "post_start_on_primary"):
        return value.name, value.image, dict(value.envs), list(value.post_start_on_primary)
    return value if isinstance(value, str) else [seen(item) for item in value]


# Source: the since-columns of the daemon's wire tables.
@pytest.mark.parametrize("version", RELEASES)
async def test_each_field_is_sent_or_refused(version: str) -> None:
    with FakeDaemon(version=version) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            for name, (since, arguments) in FIELDS.items():
                if version >= since:
                    await client.create_sandbox(image=IMAGE, **arguments, wait=False)
                    assert seen(getattr(last_spec(daemon), name)) == sent(arguments[name])
                    continue
                before = len(daemon.calls)
                with pytest.raises(UnsupportedByDaemonError, match=f"{since}.*{version}") as caught:
                    await client.create_sandbox(image=IMAGE, **arguments)
                error = caught.value
                told = (error.field, error.daemon_version, error.since_version)
                assert told == (name, version, since)
                assert "CreateSandbox" not in methods(daemon)[before:]


@pytest.mark.parametrize("version", RELEASES)
async def test_each_field_of_a_companion_is_sent_or_refused(version: str) -> None:
    with FakeDaemon(version=version) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            for name, (since, arguments) in COMPANION_FIELDS.items():
                companion = CompanionContainerSpec("cache", "redis:7", **arguments)
                asked = [CompanionContainerSpec("db", "postgres:16"), companion]
                if version >= since:
                    handle = await client.create_sandbox(
                        image=IMAGE, companion_containers=asked, wait=False
                    )
                    (_, message) = last_spec(daemon).companion_containers
                    assert seen(getattr(message, name)) == sent(arguments[name])
                    assert handle.companion_containers == tuple(asked)
                    continue
                before = len(daemon.calls)
                with pytest.raises(UnsupportedByDaemonError) as caught:
                    await client.create_sandbox(image=IMAGE, companion_containers=asked)
                error = caught.value
                told = (error.field, error.daemon_version, error.since_version)
                if version < "0.3.0":
                    assert told == ("companion_containers", version, "0.3.0")
                else:
                    assert told == (f"companion_containers[cache].{name}", version, since)
                assert "CreateSandbox" not in methods(daemon)[before:]


@pytest.mark.parametrize("version", RELEASES)
async def test_config_yaml_is_the_daemons_own_to_refuse(version: str) -> None:
    keys = {
        "companion_containers: {}": "0.3.0",
        "ports: []": "0.4.0",
        "command: [ls]": "0.4.0",
        "memory_limit: 1g": "0.4.1",
        "gpus: all": "0.4.3",
    }
    with FakeDaemon(version=version) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            for config_yaml, since in keys.items():
                if version >= since:
                    await client.create_sandbox(image=IMAGE, config_yaml=config_yaml)
                else:
                    with pytest.raises(InvalidArgumentError, match="invalid config_yaml: ") as told:
                        await client.create_sandbox(image=IMAGE, config_yaml=config_yaml)
                    assert not isinstance(told.value, UnsupportedByDaemonError)
            known = sum(version >= since for since in keys.values())
            assert len(await client.list_sandboxes()) == known


@pytest.mark.parametrize("version", RELEASES)
async def test_handles_show_services_as_each_daemon_reports_them(version: str) -> None:
    database = ServiceSpec("db", "postgres:16", {"A": "1"}, HEALTHCHECK, ("echo",))
    cache = ServiceSpec("cache", "redis:7")
    with FakeDaemon(version=version) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            handle = await client.create_sandbox(
                image=IMAGE, required_services=[database], optional_services=[cache]
            )
    services = (handle.required_services, handle.optional_services)
    if version < "0.3.0":
        assert (services, handle.companion_containers) == (((database,), (cache,)), ())
    else:
        companions = (
            CompanionContainerSpec(
                "db", "postgres:16", {"A": "1"}, HEALTHCHECK, post_start_on_primary=("echo",)
            ),
            CompanionContainerSpec("cache", "redis:7"),
        )
        assert (services, handle.companion_containers) == (((), ()), companions)


BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "image": lambda: {"image": ""},
    "ports": lambda: {"ports": [PortMapping(0, 1)]},
    "ports of another type": lambda: {"ports": [(8080, 18080)]},
    "companions": lambda: {"companion_containers": [CompanionContainerSpec("a", None)]},  # type: ignore[arg-type]  # wrong on purpose
    "companions of another type": lambda: {"companion_containers": [ServiceSpec("a", "b")]},
    "cpu_limit": lambda: {"cpu_limit": 0.5},
    "gpus": lambda: {"gpus": True},
    "command": lambda: {"command": "sleep 60"},
    "idle_ttl": lambda: {"idle_ttl": -1},
    "durations of a companion": lambda: {
        "companion_containers": [
            CompanionContainerSpec("a", "b", healthcheck=HealthcheckConfig((), interval="-5s"))
        ]
    },
    "durations of a service": lambda: {
        "required_services": [ServiceSpec("a", "b", healthcheck=HealthcheckConfig((), timeout=-1))]
    },
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_arguments_are_refused_before_the_daemon_is_asked_anything(
    client: AgentsSandboxClient, daemon: FakeDaemon, case: str
) -> None:
    with pytest.raises(InvalidArgumentError):
        await client.create_sandbox(**{"image": IMAGE, **BAD[case]()})
    assert daemon.calls == ()


def required(name: str) -> ServiceSpec:
    return ServiceSpec(name, f"{name}:1", healthcheck=HEALTHCHECK)


@pytest.fixture
def slow() -> Iterator[FakeDaemon]:
    """A daemon of dialect 0.4 with virtual time, whose companions start slowly."""
    with FakeDaemon(
        version="0.4.3",
        virtual_time=True,
        containers={
            "db": ContainerBehavior(starts_after=60),
            "cache": ContainerBehavior(starts_after=120),
            "broken": ContainerBehavior(starts_after=60, error="no such device"),
        },
    ) as running:
        yield running
        running.wait_for_streams(0)


def subscriptions(daemon: FakeDaemon) -> list[int]:
    """The sequences from which events were requested."""
    calls = [call for call in daemon.calls if call.method == "SubscribeSandboxEvents"]
    return [call.request.from_sequence for call in calls]


async def go_on(daemon: FakeDaemon, seconds: float, *, following: int) -> None:
    """Let time pass once the wait has opened `following` streams."""
    await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=following)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.advance, seconds)


async def test_required_services_are_started_before_a_create_returns(slow: FakeDaemon) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        create = Background(
            client.create_sandbox,
            image=IMAGE,
            sandbox_id="demo-sandbox",
            required_services=[required("db"), required("cache")],
        )
        for following, seconds in enumerate((1, 60), start=1):
            await go_on(slow, seconds, following=following)
            # It has long been READY, and the wait still subscribes again.
            assert (await client.get_sandbox("demo-sandbox")).state is SandboxState.READY
            await off_loop(slow.faults.drop_streams)
        await go_on(slow, 60, following=3)
        handle = await create.result()
    assert handle.state is SandboxState.READY
    assert [item.name for item in handle.companion_containers] == ["db", "cache"]
    # Accepted, preparing, ready; db; cache.
    assert subscriptions(slow) == [1, 3, 4]
    assert handle.last_event_sequence == 5


async def test_a_service_started_while_no_stream_was_open_is_not_missed(slow: FakeDaemon) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        with slow.faults.failing(method="SubscribeSandboxEvents") as failing:
            create = Background(
                client.create_sandbox, image=IMAGE, required_services=[required("db")]
            )
            await off_loop(slow.wait_for_call, "SubscribeSandboxEvents")
            await off_loop(slow.advance, 61)
            assert failing.hits
        assert (await create.result()).last_event_sequence == 4
    assert set(subscriptions(slow)) == {1}


async def test_a_snapshot_does_not_stand_for_the_services_started_before_it(
    slow: FakeDaemon,
) -> None:
    async with AgentsSandboxClient(slow.socket_path, operation_timeout_seconds=20) as client:
        create = Background(client.create_sandbox, image=IMAGE, required_services=[required("db")])
        await go_on(slow, 1, following=1)
        failing = slow.faults.failing
        with failing(method="SubscribeSandboxEvents"), failing(method="GetSandbox"):
            await off_loop(slow.faults.end_streams)
            # One may have been on its way. After two more the wait has let go of its events, so
            # that a snapshot is what it sees next.
            reads = sum(call.method == "GetSandbox" for call in slow.calls)
            await off_loop(slow.wait_for_call, "GetSandbox", count=reads + 3)
            await off_loop(slow.advance, 60)
        assert (await create.result()).last_event_sequence == 4
    assert subscriptions(slow)[-1] < 4


async def test_events_are_not_missed_when_each_stream_ends_with_its_first(
    slow: FakeDaemon,
) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        with slow.faults.dropping_streams(after=1):
            create = Background(
                client.create_sandbox,
                image=IMAGE,
                required_services=[required("db"), required("cache")],
            )
            await off_loop(slow.wait_for_call, "SubscribeSandboxEvents")
            await off_loop(slow.advance, 121)
            assert (await create.result()).last_event_sequence == 5


async def test_required_services_survive_a_restart_of_the_daemon() -> None:
    with FakeDaemon(
        version="0.4.3",
        virtual_time=True,
        containers={"db": ContainerBehavior(starts_after=60)},
    ) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            create = Background(
                client.create_sandbox,
                image=IMAGE,
                sandbox_id="demo-sandbox",
                required_services=[required("db")],
                timeout_seconds=30,
            )
            await go_on(daemon, 1, following=1)
            await off_loop(daemon.kill)
            await off_loop(daemon.start)
            started = pb.SandboxEvent(
                event_type=pb.SANDBOX_SERVICE_READY,
                sandbox_state=pb.SANDBOX_STATE_READY,
                service=pb.ServiceEventDetails(service_name="db"),
            )
            await off_loop(daemon.emit, "demo-sandbox", started)
            assert (await create.result()).state is SandboxState.READY


async def test_a_required_service_that_cannot_be_started_fails_the_create(slow: FakeDaemon) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        create = Background(
            client.create_sandbox,
            image=IMAGE,
            sandbox_id="demo-sandbox",
            required_services=[required("db"), required("broken")],
        )
        await go_on(slow, 61, following=1)
        with pytest.raises(SandboxFailedError, match="required service broken of") as caught:
            await create.result()
        error = caught.value
        assert error.sandbox_id == "demo-sandbox"
        assert error.error_code == "COMPANION_CONTAINER_FAILED"
        assert "no such device" in (error.error_message or "")
        assert (await client.get_sandbox("demo-sandbox")).state is SandboxState.READY


async def test_a_create_that_does_not_wait_waits_for_no_service(slow: FakeDaemon) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        await client.create_sandbox(image=IMAGE, required_services=[required("db")], wait=False)
    assert subscriptions(slow) == []


async def test_optional_services_and_companions_are_not_waited_for(slow: FakeDaemon) -> None:
    async with AgentsSandboxClient(slow.socket_path, operation_timeout_seconds=20) as client:
        handle = await client.create_sandbox(
            image=IMAGE,
            optional_services=[required("db"), required("broken")],
            companion_containers=[CompanionContainerSpec("cache", "redis:7")],
        )
    assert (handle.state, handle.last_event_sequence) == (SandboxState.READY, 3)


async def test_a_companion_that_fails_beside_required_services_fails_nothing(
    slow: FakeDaemon,
) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        create = Background(
            client.create_sandbox,
            image=IMAGE,
            required_services=[required("cache")],
            optional_services=[required("broken")],
        )
        await go_on(slow, 121, following=1)
        assert (await create.result()).last_event_sequence == 5


async def test_a_sandbox_that_fails_before_its_required_services_says_why() -> None:
    with FakeDaemon(version="0.4.3", missing_images=[IMAGE]) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(SandboxFailedError) as caught:
                await client.create_sandbox(image=IMAGE, required_services=[required("db")])
            assert caught.value.error_code == "SANDBOX_CREATE_FAILED"


async def test_required_services_that_take_too_long_are_named(slow: FakeDaemon) -> None:
    async with AgentsSandboxClient(slow.socket_path) as client:
        create = Background(
            client.create_sandbox,
            image=IMAGE,
            sandbox_id="demo-sandbox",
            required_services=[required("db")],
            timeout_seconds=1,
        )
        await go_on(slow, 1, following=1)
        with pytest.raises(OperationTimeoutError, match=r"^required services db of") as caught:
            await create.result()
        assert (caught.value.sandbox_id, caught.value.timeout_seconds) == ("demo-sandbox", 1)
        assert caught.value.last_handle is not None


async def test_a_resume_waits_as_the_daemon_does() -> None:
    with FakeDaemon(version="0.4.3") as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            created = await client.create_sandbox(image=IMAGE, required_services=[required("db")])
            await client.stop_sandbox(created.sandbox_id)
            resumed = await client.resume_sandbox(created.sandbox_id)
    assert resumed.state is SandboxState.READY
    assert resumed.companion_containers == created.companion_containers


async def test_a_required_service_that_fails_early_is_reported_once_the_sandbox_is_ready() -> None:
    containers = {"broken": ContainerBehavior(error="no such device")}
    with FakeDaemon(version="0.4.3", containers=containers) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(SandboxFailedError, match="required service broken of"):
                await client.create_sandbox(
                    image=IMAGE, sandbox_id="demo-sandbox", required_services=[required("broken")]
                )
            # An earlier delete would not have lasted.
            assert (await client.get_sandbox("demo-sandbox")).state is SandboxState.READY


async def test_a_daemon_that_was_silent_for_a_while_is_asked_again(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.list_sandboxes()
    await client.list_sandboxes()
    assert pings(daemon) == 1
    monkeypatch.setattr(client._daemon._transport, "_contact", -math.inf)
    await client.list_sandboxes()
    assert pings(daemon) == 2


async def test_a_future_daemon_that_does_not_report_its_release_is_refused(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.answer_next("Ping", pb.PingResponse(version="dev", daemon="agboxd"))
    for key in ("companion_containers", "required_services"):
        unknown = f"invalid config_yaml: field {key} not found in type control.YAMLConfig"
        daemon.faults.fail_next("CreateSandbox", code="INVALID_ARGUMENT", message=unknown)
    with pytest.raises(UnsupportedDaemonError, match="daemon 'dev' is not supported"):
        await client.create_sandbox(image=IMAGE)


async def test_a_create_with_an_unreadable_answer_says_what_to_do(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.list_sandboxes()
    daemon.faults.answer_next("CreateSandbox", b"\xff")
    with pytest.raises(ProtocolError, match="The sandbox may exist") as caught:
        await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
    assert caught.value.sandbox_id == "demo-sandbox"
