"""What a test can read of its daemon: requests, execs and sandboxes in the client's types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    CompanionContainerSpec,
    CopySpec,
    ExecState,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    SandboxState,
    ServiceSpec,
    SyncAgentsSandboxClient,
)
from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import (
    CreateExecRequest,
    CreateSandboxRequest,
    ExecRecord,
    FakeDaemon,
    RecordedCall,
    SandboxRecord,
    SandboxSpec,
)
from agents_sandbox.testing._commands.logs import read_log

from ..releases import NEWEST, each_dialect
from .raw import Raw, connected

pytestmark = pytest.mark.once

HEALTH = HealthcheckConfig(("CMD", "true"), interval=timedelta(seconds=5), retries=2)
COMMON: dict[str, Any] = {
    "image": "a:1",
    "builtin_tools": ("git",),
    "labels": {"team": "core"},
    "envs": {"TOKEN": "secret"},
    "idle_ttl": timedelta(seconds=90),
}


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    with SyncAgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


def last_request(daemon: FakeDaemon, method: str) -> Any:
    return [call for call in daemon.calls if call.method == method][-1].request


@pytest.mark.releases("0.2.1")
def test_create_of_the_older_dialect(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {
        **COMMON,
        "mounts": (MountSpec(tmp_path, "/workspace", True),),
        "copies": (CopySpec(tmp_path, "/workspace/x", ["*.log"]),),
        "required_services": (ServiceSpec("db", "db:1", {"A": "1"}, HEALTH, ["seed"]),),
        "optional_services": (ServiceSpec("cache", "cache:1"),),
    }
    client.create_sandbox(sandbox_id="box-1", **arguments, wait=False)
    spec = SandboxSpec(**arguments)
    assert last_request(daemon, "CreateSandbox") == CreateSandboxRequest(spec, "box-1")
    (sandbox,) = daemon.sandboxes
    assert sandbox.spec == spec
    assert sandbox.spec.command is None


@pytest.mark.releases(NEWEST)
def test_create_of_the_newer_dialect(client: SyncAgentsSandboxClient, daemon: FakeDaemon) -> None:
    arguments: dict[str, Any] = {
        **COMMON,
        "companion_containers": (
            CompanionContainerSpec("db", "db:1", {"A": "1"}, HEALTH, ["serve"], ["seed"], "0.5"),
            CompanionContainerSpec("cache", "cache:1", memory_limit="1g", disk_limit="2g"),
        ),
        "ports": (PortMapping(80, 8080), PortMapping(53, 5353, "udp")),
        "command": ("serve", "all"),
        "cpu_limit": "2",
        "memory_limit": "1g",
        "disk_limit": "10g",
        "gpus": "all",
    }
    client.create_sandbox(sandbox_id="box-1", **arguments, wait=False)
    spec = SandboxSpec(**arguments)
    assert last_request(daemon, "CreateSandbox") == CreateSandboxRequest(spec, "box-1")
    assert daemon.sandboxes[0].spec == spec


@each_dialect
def test_sandbox_has_what_config_yaml_adds_and_the_request_has_not(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    document = "image: b:1\nlabels: {a: b}\n"
    client.create_sandbox(config_yaml=document, sandbox_id="box-1")
    request = last_request(daemon, "CreateSandbox")
    assert request == CreateSandboxRequest(SandboxSpec(), "box-1", document.encode())
    assert daemon.sandboxes[0].spec == SandboxSpec(image="b:1", labels={"a": "b"})


@pytest.mark.releases(NEWEST)
def test_what_the_client_would_refuse_is_shown_as_it_arrived(raw: Raw) -> None:
    raw.why_refused(
        mounts=[{"source": "relative", "target": ""}],
        copies=[{"source": "relative"}],
        ports=[{"container_port": 70000, "protocol": 9}],
    )
    spec = raw.daemon.calls[-1].request.create_spec
    assert isinstance(spec.mounts[0], MountSpec)
    assert (spec.mounts[0].source, spec.copies[0].source) == ("relative", "relative")
    assert (spec.ports[0].container_port, spec.ports[0].protocol) == (70000, "9")


@each_dialect
def test_create_exec(client: SyncAgentsSandboxClient, daemon: FakeDaemon) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    client.run("box-1", ["make", "all"], cwd="/srv", env_overrides={"A": "1"}, exec_id="exec-1")
    assert last_request(daemon, "CreateExec") == CreateExecRequest(
        "box-1", ("make", "all"), "/srv", {"A": "1"}, "exec-1"
    )


def test_other_requests_are_messages(raw: Raw) -> None:
    raw.ready()
    raw.get()
    call = raw.daemon.calls[-1]
    assert call.request is call.message
    assert call.request == pb.GetSandboxRequest(sandbox_id="box-1")


def test_message_stays_within_reach(raw: Raw) -> None:
    raw.create(envs={"TOKEN": "secret"})
    (call,) = raw.daemon.calls
    assert call.message.create_spec.envs["TOKEN"] == "secret"


def test_call_in_one_line(raw: Raw) -> None:
    raw.ready(envs={"TOKEN": "secret"})
    raw.start("make", "all", env_overrides={"KEY": "secret"})
    raw(methods.PING)
    created, *_, executed, pinged = map(str, raw.daemon.calls)
    assert created == (
        "CreateSandbox(create_spec=CreateSpec(image='ghcr.io/agents-sandbox/coding-runtime:latest'"
        ", envs={'TOKEN': ...}), sandbox_id='box-1')"
    )
    assert executed == (
        "CreateExec(sandbox_id='box-1', command=['make', 'all'], env_overrides={'KEY': ...}, "
        "exec_id='exec-1')"
    )
    assert pinged == "Ping()"


def test_repr_shows_no_secrets() -> None:
    request = CreateExecRequest("box-1", ("ls",), env_overrides={"TOKEN": "secret"})
    spec = SandboxSpec(image="a:1", envs={"TOKEN": "secret"})
    create = CreateSandboxRequest(spec, config_yaml=b"secret")
    item = ExecRecord("e", "box-1", ("ls",), "/", {"TOKEN": "secret"}, ExecState.RUNNING)
    box = SandboxRecord("box-1", SandboxState.READY, spec)
    call = RecordedCall("CreateExec", pb.CreateExecRequest(env_overrides={"T": "secret"}), (), 1)
    for value in (request, create, spec, item, box, call):
        assert "secret" not in repr(value)
        assert "TOKEN" in repr(value) or value is call


def test_execs(raw: Raw) -> None:
    raw.ready(envs={"A": "sandbox", "B": "sandbox"})
    raw.daemon.on_exec(["make"]).stdout("2 failed\n").stderr(b"\xff").exit(2)
    raw.daemon.on_exec(["sleep"]).stdout("on").never()
    raw.daemon.on_exec(["broken"]).fail("no such user")
    raw.start("make", exec_id="exec-1", cwd="/srv", env_overrides={"A": "own"})
    raw.finished("exec-1")
    raw.start("broken", exec_id="exec-2")
    raw.finished("exec-2")
    with raw.daemon.paused() as pause:
        raw.start("sleep", exec_id="exec-3")
        pause.step()
    raw.start("ls", exec_id="exec-4")
    raw.finished("exec-4")
    made, broken, running, ended = raw.daemon.execs
    assert made == ExecRecord(
        "exec-1",
        "box-1",
        ("make",),
        "/srv",
        {"A": "own", "B": "sandbox"},
        ExecState.FAILED,
        2,
        "docker exec failed: exit code 2",
        "2 failed\n",
        "\ufffd",
    )
    assert (broken.state, broken.exit_code, broken.error) == (
        ExecState.FAILED,
        None,
        "no such user",
    )
    assert (broken.stdout, broken.stderr) == ("", "")
    assert (running.state, running.exit_code, running.stdout) == (ExecState.RUNNING, None, "on")
    assert (ended.state, ended.exit_code, ended.cwd) == (ExecState.FINISHED, 0, "/workspace")


def test_records_can_be_read_after_a_stop() -> None:
    with FakeDaemon() as daemon, connected(daemon) as raw:
        assert (daemon.execs, daemon.sandboxes) == ((), ())
        raw.ready()
        daemon.on_exec(["make"]).stdout("done\n")
        raw.start("make")
        raw.finished()
    assert [item.stdout for item in daemon.execs] == ["done\n"]
    assert [box.state for box in daemon.sandboxes] == [SandboxState.READY]
    daemon.stop()
    assert [item.stdout for item in daemon.execs] == ["done\n"]


@pytest.mark.parametrize(
    ("kept", "expected"), [(0, []), (1, ["exec-2"]), (9, ["exec-1", "exec-2"])]
)
def test_a_stop_keeps_as_many_execs_as_calls(kept: int, expected: list[str]) -> None:
    with FakeDaemon(max_calls=kept) as daemon, connected(daemon) as raw:
        raw.ready()
        for exec_id in ("exec-1", "exec-2"):
            raw.start("ls", exec_id=exec_id)
            raw.finished(exec_id)
        assert len(daemon.execs) == 2
    assert [item.exec_id for item in daemon.execs] == expected


def test_sandboxes(raw: Raw) -> None:
    raw.ready("box-1")
    raw.create("box-2")
    raw.wait_for(pb.SANDBOX_READY, "box-2")
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED, "box-1")
    first, second = raw.daemon.sandboxes
    assert [event.event_type.name for event in first.events][-1] == "SANDBOX_DELETED"
    assert [event.sequence for event in first.events] == list(range(1, len(first.events) + 1))
    assert first.state is SandboxState.DELETED
    assert (second.sandbox_id, second.error_code) == ("box-2", None)
    raw.daemon.purge("box-1")
    assert [box.sandbox_id for box in raw.daemon.sandboxes] == ["box-2"]


@each_dialect
def test_events_are_those_that_a_client_gets(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    head = client.run("box-1", ("ls",)).last_event_sequence
    received = []
    with client.subscribe_sandbox_events("box-1") as events:
        for event in events:
            received.append(event)
            if event.sequence == head:
                break
    assert daemon.sandboxes[0].events == tuple(received)


def test_failed_sandbox_has_its_reason() -> None:
    with FakeDaemon(missing_images=["typo:1"]) as daemon, connected(daemon) as raw:
        raw.create(image="typo:1")
        raw.wait_for(pb.SANDBOX_FAILED)
        (box,) = daemon.sandboxes
    assert (box.state, box.error_code) == (SandboxState.FAILED, "SANDBOX_CREATE_FAILED")
    assert box.error_message is not None
    assert "typo:1" in box.error_message


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_a_command_puts_in_place_of_a_log_is_not_read(raw: Raw, kind: str) -> None:
    raw.ready()
    raw.daemon.on_exec(["make"]).stdout("done")
    log = Path(raw.start("make").stdout_log_path)
    raw.finished()
    target = log.with_name("target")
    log.rename(target)
    if kind == "link":
        log.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(log)
    else:
        log.mkdir()
    assert raw.daemon.execs[0].stdout == ""


def test_long_output_is_cut(raw: Raw) -> None:
    raw.ready()
    mebibyte = 1024 * 1024
    raw.daemon.on_exec(["make"]).stdout("x" * mebibyte).stderr("y" * (mebibyte + 1))
    raw.start("make")
    raw.finished()
    (record,) = raw.daemon.execs
    assert record.stdout == "x" * mebibyte
    assert record.stderr == "y" * mebibyte + f"... ({mebibyte + 1} bytes)"


def test_a_command_without_logs_has_no_output() -> None:
    assert read_log(None, 1) == (b"", 0)
