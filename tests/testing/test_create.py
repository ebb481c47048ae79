"""The checks of CreateSandbox and their order, and creates that fail later."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox.testing import ContainerBehavior, DockerHost, FakeDaemon

from .raw import IMAGE, Raw, Refusal, connected, name
from .releases import RELEASES, since

pytestmark = pytest.mark.once

HEALTHY = pb.HealthcheckConfig(test=["CMD", "true"])
ID_RULE = (
    "must be 4-200 characters, start and end with a letter or digit, "
    "and contain only letters, digits, hyphens, or underscores"
)


def why_failed(raw: Raw, **spec: Any) -> Any:
    raw.create(**spec)
    raw.wait_for(pb.SANDBOX_FAILED)
    handle = raw.get()
    assert handle.error_code == "SANDBOX_CREATE_FAILED"
    return handle.error_message


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


TOOLS = ("claude", "codex", "git", "uv", "npm", "apt")


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([""], "builtin resource id must not be empty"),
        (["apt", "apt"], 'duplicate builtin resource "apt"'),
        (["apt", "vim", "vim"], 'unknown builtin resource "vim"'),
        (["Apt"], 'unknown builtin resource "Apt"'),
        (["a\n"], r'unknown builtin resource "a\n"'),
    ],
)
def test_builtin_tools(raw: Raw, tools: list[str], message: str) -> None:
    assert raw.why_refused(builtin_tools=tools) == message


@pytest.mark.parametrize("version", RELEASES)
def test_known_tools(version: str) -> None:
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        raw.create(builtin_tools=TOOLS)
        if version in since("0.4.1"):
            raw.create("box-2", builtin_tools=["opencode"])
        else:
            why = raw.why_refused(builtin_tools=["opencode"])
            assert why == 'unknown builtin resource "opencode"'


@pytest.mark.parametrize(
    ("sandbox_id", "message"),
    [
        ("abc", "sandbox_id must be at least 4 characters"),
        ("-abc", f"sandbox_id {ID_RULE}"),
        ("abc_", f"sandbox_id {ID_RULE}"),
        ("abc.def", f"sandbox_id {ID_RULE}"),
        ("abc\n", f"sandbox_id {ID_RULE}"),
        ("\u0430\u0431", f"sandbox_id {ID_RULE}"),  # four bytes, but two letters
        ("x" * 201, f"sandbox_id {ID_RULE}"),
    ],
)
def test_sandbox_ids(raw: Raw, sandbox_id: str, message: str) -> None:
    assert raw.why_refused(sandbox_id) == message


@pytest.mark.parametrize("sandbox_id", ["ab_d", "Z" * 200])
def test_sandbox_ids_at_the_limits(raw: Raw, sandbox_id: str) -> None:
    assert raw.create(sandbox_id).sandbox_id == sandbox_id


def test_generated_id_is_a_uuid(raw: Raw) -> None:
    assert re.fullmatch(
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", raw.create("").sandbox_id
    )


PORT: dict[str, Any] = {"container_port": 80, "host_port": 8080}
COMPANION: dict[str, Any] = {"name": "a", "image": "redis:7"}
BROKEN: dict[str, Any] = {
    "image": "",
    "idle_ttl": {"nanos": -1},
    "mounts": [{}],
    "copies": [{}],
    "builtin_tools": ["vim"],
}
BROKEN_02 = {**BROKEN, "required_services": [{}]}
BROKEN_04 = {
    **BROKEN,
    "gpus": "All",
    "envs": {"AGENTS_SANDBOX_SUPPLEMENTAL_GROUPS": ""},
    "ports": [{}],
    "companion_containers": [{}],
    "command": ["a", ""],
    "cpu_limit": "0",
    "memory_limit": "0",
    "disk_limit": "0",
}
SPENT = {**COMPANION, "cpu_limit": "0"}
GPUS = 'gpus: unsupported value "All"; currently only empty or "all" are supported'
ENVS = (
    "envs.AGENTS_SANDBOX_SUPPLEMENTAL_GROUPS is reserved for internal runtime setup "
    "and must not be set by CreateSpec.Envs"
)
CORES = 'companion_containers[a].cpu_limit: cpu_limit "0": must be > 0'
# The message of each error in order, the release that added its check, the field and its repair.
REPAIRS: list[tuple[str, str, str, Any]] = [
    ("create_spec.image is required", "0.2.0", "image", IMAGE),
    ("idle_ttl must not be negative", "0.2.0", "idle_ttl", {}),
    (GPUS, "0.4.3", "gpus", "all"),
    (ENVS, "0.4.3", "envs", {"A": "1"}),
    ("mount source is required", "0.2.0", "mounts", []),
    ("copy source is required", "0.2.0", "copies", []),
    ("port container_port must be between 1 and 65535, got 0", "0.4.0", "ports", [PORT]),
    ("service name is required", "0.2.0", "required_services", []),
    ("companion container name is required", "0.3.0", "companion_containers", [SPENT]),
    ("command[1]: empty string entry is not allowed", "0.4.0", "command", ["a"]),
    ('cpu_limit: cpu_limit "0": must be > 0', "0.4.1", "cpu_limit", "0.5"),
    ('memory_limit: memory_limit "0": must be > 0', "0.4.1", "memory_limit", "64m"),
    ('disk_limit: disk_limit "0": must be > 0', "0.4.1", "disk_limit", "1g"),
    (CORES, "0.4.1", "companion_containers", [COMPANION]),
    ('unknown builtin resource "vim"', "0.2.0", "builtin_tools", []),
]


@pytest.mark.parametrize("version", RELEASES)
def test_errors_are_reported_in_order(version: str) -> None:
    spec = dict(BROKEN_04 if version in since("0.3.0") else BROKEN_02)
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        for message, release, field, repaired in REPAIRS:
            if field in spec and version in since(release):
                assert raw.why_refused("x", **spec) == message
                spec[field] = repaired
        assert raw.why_refused("x", **spec) == "sandbox_id must be at least 4 characters"


@pytest.mark.parametrize("version", RELEASES)
def test_bad_spec_is_reported_before_a_taken_id(version: str) -> None:
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        raw.create("taken")
        assert raw.why_refused("taken", image="") == "create_spec.image is required"
        refused = raw.refused(
            methods.CREATE_SANDBOX, sandbox_id="taken", create_spec={"image": "other"}
        )
    assert refused == Refusal(
        "ALREADY_EXISTS",
        "sandbox_id taken already exists",
        "SANDBOX_ID_ALREADY_EXISTS",
        "agents-sandbox",
        {"sandbox_id": "taken"},
    )


@pytest.mark.parametrize(
    ("idle_ttl", "refused"),
    [
        (Duration(seconds=-1), True),
        (Duration(seconds=1, nanos=-1), False),
        (Duration(seconds=-(1 << 60)), True),
        (Duration(seconds=1 << 60), False),
    ],
)
def test_idle_ttl_can_have_parts_of_both_signs(raw: Raw, idle_ttl: Duration, refused: bool) -> None:
    if refused:
        assert raw.why_refused(idle_ttl=idle_ttl) == "idle_ttl must not be negative"
    else:
        raw.create(idle_ttl=idle_ttl)


@pytest.mark.parametrize("version", since("0.3.0"))
def test_fields_that_a_release_does_not_know_are_ignored(version: str) -> None:
    newer: dict[str, Any] = {
        "0.4.0": {"ports": [{}], "command": [""]},
        "0.4.1": {"cpu_limit": "x", "memory_limit": "x", "disk_limit": "x"},
        "0.4.3": {"gpus": "some"},
    }
    unknown = {
        field: value
        for release, fields in newer.items()
        if version not in since(release)
        for field, value in fields.items()
    }
    side = {field: value for field, value in unknown.items() if field not in ("ports", "gpus")}
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        handle = raw.create(companion_containers=[{**COMPANION, **side}], **unknown)
        assert list(handle.companion_containers) == [v04.CompanionContainerSpec(**COMPANION)]


def test_older_releases_accept_the_reserved_env() -> None:
    with FakeDaemon(version="0.4.2") as daemon, connected(daemon) as raw:
        raw.create(envs={"AGENTS_SANDBOX_SUPPLEMENTAL_GROUPS": "1"})


def test_spec_is_required(raw: Raw) -> None:
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1")
    assert refused == Refusal("INVALID_ARGUMENT", "create_spec is required")


def test_refused_id_is_not_taken(raw: Raw) -> None:
    raw.why_refused(image="")
    assert raw.create().sandbox_id == "box-1"


def test_every_field_is_accepted_and_few_are_echoed(raw: Raw, sources: Path) -> None:
    cache = pb.ServiceSpec(name="cache", image="redis:7", envs={"R": "1"}, healthcheck=HEALTHY)
    side = pb.ServiceSpec(name="side", image="host.local:5000/team/side@sha256:00")
    none = pb.HealthcheckConfig(test=["NONE"])
    quiet = pb.ServiceSpec(name="quiet", image="redis:7", healthcheck=none)
    handle = raw.ready(
        mounts=[pb.MountSpec(source=str(sources / "dir"), target="/m", writable=True)],
        copies=[pb.CopySpec(source=str(sources / "file"), target="/opt")],
        builtin_tools=["apt", "git"],
        required_services=[cache],
        optional_services=[side, quiet],
        labels={"team": "core"},
        envs={"A": "1"},
        idle_ttl=Duration(seconds=30),
    )

    assert list(handle.required_services) == [cache]
    assert list(handle.optional_services) == [side, quiet]
    assert handle.labels == {"team": "core"}


def test_every_field_of_dialect_04_is_accepted_and_few_are_echoed(sources: Path) -> None:
    cache = v04.CompanionContainerSpec(
        name="cache",
        image="redis:7",
        envs={"R": "1"},
        healthcheck=HEALTHY,
        post_start_on_primary=["true"],
        command=["redis-server"],
        cpu_limit="0.25",
        memory_limit="64m",
        disk_limit="1GiB",
    )
    none = pb.HealthcheckConfig(test=["NONE"])
    quiet = v04.CompanionContainerSpec(name="quiet", image="redis:7", healthcheck=none)
    with FakeDaemon(version="0.4.3") as daemon, connected(daemon) as raw:
        handle = raw.create(
            mounts=[{"source": str(sources / "dir"), "target": "/m", "writable": True}],
            copies=[{"source": str(sources / "file"), "target": "/opt"}],
            builtin_tools=["apt", "opencode"],
            companion_containers=[cache, quiet],
            labels={"team": "core"},
            envs={"A": "1"},
            idle_ttl=Duration(seconds=30),
            ports=[PORT, {**PORT, "protocol": v04.PORT_PROTOCOL_UDP}],
            command=["sleep", "60"],
            cpu_limit="0.001",
            memory_limit="256m",
            disk_limit="1g",
            gpus="all",
        )
    assert list(handle.companion_containers) == [cache, quiet]
    assert (handle.labels, handle.image) == ({"team": "core"}, IMAGE)


def test_services_are_reported_before_ready_and_again_on_resume(raw: Raw) -> None:
    required = [
        pb.ServiceSpec(name=service, image="redis:7", healthcheck=HEALTHY) for service in ("b", "a")
    ]
    raw.ready(required_services=required, optional_services=[{"name": "c", "image": "redis:7"}])
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
    events = raw.wait_for(pb.SANDBOX_READY, count=2)

    services = [event.service.service_name for event in events if event.HasField("service")]
    assert services == ["b", "a", "c"] * 2
    assert [name(event) for event in events[2:6]] == [
        *["SANDBOX_SERVICE_READY:PENDING"] * 3,
        "SANDBOX_READY:READY",
    ]
    assert [name(event) for event in events[10:]] == [
        *["SANDBOX_SERVICE_READY:PENDING"] * 3,
        "SANDBOX_READY:READY",
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"image": "gone:1"},
        {"optional_services": [pb.ServiceSpec(name="side", image="gone:1")]},
    ],
)
def test_missing_image_fails_the_create(spec: dict[str, Any]) -> None:
    with FakeDaemon(version="0.2.1", missing_images=["gone:1"]) as daemon, connected(daemon) as raw:
        assert why_failed(raw, **spec).startswith("Error response from daemon: pull access denied")
        (event,) = raw.wait_for(pb.SANDBOX_FAILED)[2:]
        assert event.sandbox_phase.error_code == "SANDBOX_CREATE_FAILED"


def test_invalid_image_reference_fails_the_create(raw: Raw) -> None:
    assert why_failed(raw, image="Bad Image!!") == (
        "Error response from daemon: no such image: Bad Image!!: invalid reference format: "
        "repository name must be lowercase"
    )


def test_one_mount_target_in_two_spellings_fails_the_create(raw: Raw, sources: Path) -> None:
    mounts = [{"source": str(sources / "dir"), "target": target} for target in ("/t/", "/t")]
    assert why_failed(raw, mounts=mounts) == "Error response from daemon: Duplicate mount point: /t"


def test_mount_over_the_exec_logs_fails_the_create(raw: Raw, sources: Path) -> None:
    source, target = sources / "dir", "/var/log/agents-sandbox/"
    assert why_failed(raw, mounts=[{"source": str(source), "target": target}]) == (
        f"conflicting mount target {target} for {source} and {raw.daemon.exec_log_root}/box-1"
    )


@pytest.mark.parametrize("version", RELEASES)
def test_tool_without_its_host_path_fails_the_create(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        for sandbox_id, missing in (("box-1", ".codex"), ("box-2", ".agents")):
            raw.create(sandbox_id, builtin_tools=["codex"])
            if missing == ".agents" and version in since("0.3.2"):
                raw.wait_for(pb.SANDBOX_READY, sandbox_id)
                continue
            (*_, event) = raw.wait_for(pb.SANDBOX_FAILED, sandbox_id)
            why = f"stat {tmp_path}/{missing}: no such file or directory"
            assert event.sandbox_phase.error_message == why
            (tmp_path / missing).mkdir()


@contextmanager
def slow_daemon(version: str, **options: Any) -> Iterator[Raw]:
    with (
        FakeDaemon(
            version=version,
            virtual_time=True,
            ready_delay=DELAY,
            missing_images=["gone:1", "gone:2"],
            **options,
        ) as daemon,
        connected(daemon) as raw,
    ):
        yield raw


def failure(raw: Raw, sandbox_id: str) -> tuple[float, str]:
    """When a create fails, in seconds, and why."""
    for seconds in (0.0, DELAY):
        raw.daemon.advance(seconds)
        if raw.get(sandbox_id).state == pb.SANDBOX_STATE_FAILED:
            return seconds, raw.get(sandbox_id).error_message
    raise AssertionError(raw.history(sandbox_id))


DELAY = 60.0
DOCKER = "Error response from daemon: "


def test_order_of_a_create(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(sources))
    log_folder = {"source": str(sources / "dir"), "target": "/var/log/agents-sandbox"}
    spec: dict[str, Any] = {
        "image": "gone:1",
        "builtin_tools": ["codex"],
        "mounts": [log_folder, {"source": "/", "target": "/"}],
        "copies": [{"source": str(sources / "sock"), "target": "/nope"}],
        "companion_containers": [{**COMPANION, "image": "gone:2"}],
        "envs": {"": "x", "A": "1"},
        "ports": [PORT],
    }
    copy = {"source": str(sources / "file"), "target": "/nope"}
    at_once: list[tuple[str, str, Any]] = [
        (f"stat {sources}/.codex: ", "builtin_tools", []),
        (f"copy source must be a file or directory: {sources}/sock", "copies", [copy]),
        ("conflicting mount target /var/log/agents-sandbox ", "mounts", spec["mounts"][1:]),
        (f"{DOCKER}pull access denied for gone:1", "image", IMAGE),
        (f"{DOCKER}pull access denied for gone:2", "companion_containers", [COMPANION]),
        (f"{DOCKER}network with name agbox-net-box-0 already exists", "labels", {"a": "1"}),
        (f"{DOCKER}invalid environment variable: =x", "envs", {"A=B": "C"}),
        (f"{DOCKER}invalid mount config", "mounts", []),
    ]
    late: list[tuple[str, str, Any]] = [
        ("copy to container agbox-primary-", "copies", [{**copy, "target": "/opt"}]),
        (f"{DOCKER}driver failed programming external connectivity", "ports", []),
    ]
    with (
        socket.socket(socket.AF_UNIX) as bound,
        slow_daemon("0.4.2", docker=DockerHost(ports_in_use=[PORT["host_port"]])) as raw,
    ):
        bound.bind(os.path.relpath(sources / "sock"))
        raw.create("box-0")
        raw.daemon.advance(DELAY)
        for number, (message, field, repaired) in enumerate((*at_once, *late), 1):
            sandbox_id = "box_0" if "network" in message else f"box-{number}"
            raw.create(sandbox_id, **spec)
            seconds, why = failure(raw, sandbox_id)
            assert why.startswith(message)
            assert seconds == (0 if number <= len(at_once) else DELAY)
            spec[field] = repaired
        raw.create("last", **spec)
        raw.daemon.advance(DELAY)
        assert raw.get("last").state == pb.SANDBOX_STATE_READY


def test_required_services_are_started_before_the_primary_is_created() -> None:
    service = pb.ServiceSpec(name="db", image="redis:7", healthcheck=HEALTHY)
    sick = {"db": ContainerBehavior(exits_after=0)}
    with slow_daemon("0.2.1", containers=sick) as raw:
        raw.create(required_services=[service], envs={"": "x"})
        why = "container agbox-svc-box-1-db is not running while waiting for health"
        assert failure(raw, "box-1") == (0, why)
        raw.create("box-2", envs={"": "x"})
        assert failure(raw, "box-2") == (0, f"{DOCKER}invalid environment variable: =x")


def test_side_container_whose_variable_has_no_name() -> None:
    service: dict[str, Any] = {"name": "db", "image": "redis:7", "envs": {"": "x=y"}}
    why = f"{DOCKER}invalid environment variable: =x=y"
    with FakeDaemon(version="0.2.1") as daemon, connected(daemon) as raw:
        raw.ready(optional_services=[service])
        (event,) = raw.wait_for(pb.SANDBOX_SERVICE_FAILED)[2:]
        assert event.service.error_message == why
        required = pb.ServiceSpec(**service, healthcheck=HEALTHY)
        raw.create("box-2", required_services=[required])
        (event,) = raw.wait_for(pb.SANDBOX_FAILED, "box-2")[2:]
        assert event.sandbox_phase.error_message == why


def test_log_folder_that_cannot_be_made_fails_the_create(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with FakeDaemon(exec_log_root=tmp_path / "file") as daemon, connected(daemon) as raw:
        raw.create()
        (event,) = raw.wait_for(pb.SANDBOX_FAILED)[2:]
    assert event.sandbox_phase.error_code == "SANDBOX_CREATE_FAILED"
    assert str(tmp_path / "file" / "box-1") in event.sandbox_phase.error_message
