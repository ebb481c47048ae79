"""What CreateSandbox checks, in which order, and what can still go wrong later."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .raw import IMAGE, Raw, Refusal, connected, name

HEALTHY = pb.HealthcheckConfig(test=["CMD", "true"])
ID_RULE = (
    "must be 4-200 characters, start and end with a letter or digit, "
    "and contain only letters, digits, hyphens, or underscores"
)


def why_refused(raw: Raw, sandbox_id: str = "box-1", **spec: Any) -> str:
    create_spec = pb.CreateSpec(**{"image": IMAGE, **spec})
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id=sandbox_id, create_spec=create_spec)
    assert refused == Refusal("INVALID_ARGUMENT", refused.message)
    return refused.message


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
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(tmp_path / "sock"))
    return tmp_path


@pytest.mark.parametrize("kind", ["mount", "copy"])
@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("", "/t", "{kind} source is required"),
        ("rel", "/t", "{kind} source must be absolute: rel"),
        ("~/x", "/t", "{kind} source must be absolute: ~/x"),
        (
            "{root}/none",
            "/t",
            "{kind} source path is invalid: lstat {root}/none: no such file or directory",
        ),
        (
            "{root}/file/x",
            "/t",
            "{kind} source path is invalid: lstat {root}/file/x: not a directory",
        ),
        ("/a\0b", "/t", "{kind} source path is invalid: lstat /a\0b: invalid argument"),
        ("{root}/link", "/t", "{kind} source must not be a symlink: {root}/link"),
        ("{root}/fifo", "/t", "{kind} source must be a file or directory: {root}/fifo"),
        ("{root}/sock", "rel", "{kind} source must be a file or directory: {root}/sock"),
        ("{root}/dir", "", "{kind} target is required"),
        ("{root}/file", "rel", "{kind} target must be absolute: rel"),
        ("{root}/file", "~/x", "{kind} target must be absolute: ~/x"),
    ],
)
def test_paths(raw: Raw, sources: Path, kind: str, source: str, target: str, message: str) -> None:
    entry = {"source": source.format(root=sources), "target": target}
    spec: dict[str, Any] = {"mounts" if kind == "mount" else "copies": [entry]}

    # grpc cuts a status message at a NUL.
    expected = message.format(root=sources, kind=kind)
    assert why_refused(raw, **spec) in (expected, expected.split("\0", maxsplit=1)[0])


def test_declared_host_paths_need_not_be_there() -> None:
    with FakeDaemon(host_paths=["/srv/data"]) as daemon, connected(daemon) as raw:
        assert why_refused(raw, mounts=[{"source": "/srv/other", "target": "/t"}]) == (
            "mount source path is invalid: lstat /srv/other: no such file or directory"
        )
        raw.create(mounts=[{"source": "/srv/data", "target": "/t"}])


def test_conflicting_targets(raw: Raw, sources: Path) -> None:
    entry = {"source": str(sources / "dir"), "target": "/t"}

    assert why_refused(raw, mounts=[entry, entry]) == (
        "conflicting target /t between mount and mount"
    )
    assert why_refused(raw, mounts=[entry], copies=[entry]) == (
        "conflicting target /t between mount and copy"
    )


@pytest.mark.parametrize(
    ("required", "services", "message"),
    [
        (True, [{"image": "i"}], "service name is required"),
        (True, [{"name": "a"}], 'service "a" image is required'),
        (
            True,
            [{"name": "a", "image": "i", "healthcheck": HEALTHY}] * 2,
            'duplicate service name "a"',
        ),
        (True, [{"name": "a", "image": "i"}], 'required service "a" must define healthcheck'),
        (
            False,
            [{"name": "a", "image": "i", "post_start_on_primary": ["true"]}],
            'optional service "a" with post_start_on_primary must define healthcheck',
        ),
    ],
)
def test_services(raw: Raw, required: bool, services: list[Any], message: str) -> None:
    spec: dict[str, Any] = {"required_services" if required else "optional_services": services}
    assert why_refused(raw, **spec) == message


@pytest.mark.parametrize(
    ("required", "test", "message"),
    [
        (True, [], "must not be empty"),
        (True, ["redis-cli"], '[0] "redis-cli" is invalid'),
        (True, ["NONE"], '[0] "NONE" is invalid'),
        (True, ["CMD"], "for CMD must include a command"),
        (True, ["CMD-SHELL"], "for CMD-SHELL must include a command"),
        (False, ["NONE", "x"], "must not include extra args when NONE is used"),
    ],
)
def test_healthchecks(raw: Raw, required: bool, test: list[str], message: str) -> None:
    healthcheck = pb.HealthcheckConfig(test=test)
    service = pb.ServiceSpec(name="a", image="i", healthcheck=healthcheck)

    spec: dict[str, Any] = {"required_services" if required else "optional_services": [service]}
    why = why_refused(raw, **spec)
    assert why.removeprefix('service "a" healthcheck.test').strip() == message


def test_one_service_name_over_both_lists(raw: Raw) -> None:
    required = pb.ServiceSpec(name="a", image="i", healthcheck=HEALTHY)
    optional = pb.ServiceSpec(name="a", image="i")
    why = why_refused(raw, required_services=[required], optional_services=[optional])
    assert why == 'duplicate service name "a"'


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([""], "builtin resource id must not be empty"),
        (["apt", "apt"], 'duplicate builtin resource "apt"'),
        (["Apt"], 'unknown builtin resource "Apt"'),
        (["opencode"], 'unknown builtin resource "opencode"'),
    ],
)
def test_builtin_tools(raw: Raw, tools: list[str], message: str) -> None:
    assert why_refused(raw, builtin_tools=tools) == message


@pytest.mark.parametrize(
    ("sandbox_id", "message"),
    [
        ("abc", "sandbox_id must be at least 4 characters"),
        ("-abc", f"sandbox_id {ID_RULE}"),
        ("abc_", f"sandbox_id {ID_RULE}"),
        ("abc.def", f"sandbox_id {ID_RULE}"),
        ("abc\n", f"sandbox_id {ID_RULE}"),
        ("\u0430\u0431", f"sandbox_id {ID_RULE}"),  # four bytes in two letters
        ("x" * 201, f"sandbox_id {ID_RULE}"),
    ],
)
def test_sandbox_ids(raw: Raw, sandbox_id: str, message: str) -> None:
    assert why_refused(raw, sandbox_id) == message


@pytest.mark.parametrize("sandbox_id", ["ab_d", "Z" * 200])
def test_sandbox_ids_at_the_limits(raw: Raw, sandbox_id: str) -> None:
    assert raw.create(sandbox_id).sandbox_id == sandbox_id


def test_generated_id_is_a_uuid(raw: Raw) -> None:
    assert re.fullmatch(
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", raw.create("").sandbox_id
    )


def test_faults_are_reported_in_order(raw: Raw) -> None:
    raw.create("taken")
    spec: dict[str, Any] = {
        "image": "",
        "idle_ttl": Duration(nanos=-1),
        "mounts": [pb.MountSpec()],
        "copies": [pb.CopySpec()],
        "required_services": [pb.ServiceSpec()],
        "builtin_tools": ["vim"],
    }
    messages = []
    for field, repaired in (
        ("image", IMAGE),
        ("idle_ttl", Duration()),
        ("mounts", []),
        ("copies", []),
        ("required_services", []),
        ("builtin_tools", []),
    ):
        messages.append(why_refused(raw, "taken", **spec))
        spec[field] = repaired

    assert messages == [
        "create_spec.image is required",
        "idle_ttl must not be negative",
        "mount source is required",
        "copy source is required",
        "service name is required",
        'unknown builtin resource "vim"',
    ]
    refused = raw.refused(
        methods.CREATE_SANDBOX, sandbox_id="taken", create_spec=pb.CreateSpec(**spec)
    )
    assert refused == Refusal(
        "ALREADY_EXISTS",
        "sandbox_id taken already exists",
        "SANDBOX_ID_ALREADY_EXISTS",
        "agents-sandbox",
        {"sandbox_id": "taken"},
    )


def test_spec_is_required(raw: Raw) -> None:
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1")
    assert refused == Refusal("INVALID_ARGUMENT", "create_spec is required")


def test_refused_id_is_not_taken(raw: Raw) -> None:
    why_refused(raw, image="")
    assert raw.create().sandbox_id == "box-1"


def test_every_field_is_accepted_and_few_are_echoed(raw: Raw, sources: Path) -> None:
    cache = pb.ServiceSpec(name="cache", image="redis:7", envs={"R": "1"}, healthcheck=HEALTHY)
    side = pb.ServiceSpec(name="side", image="host.local:5000/team/side@sha256:00")
    none = pb.HealthcheckConfig(test=["NONE"])
    quiet = pb.ServiceSpec(name="quiet", image="redis:7", healthcheck=none)
    handle = raw.ready(
        mounts=[pb.MountSpec(source=str(sources / "dir"), target="/m", writable=True)],
        copies=[pb.CopySpec(source=str(sources / "file"), target="/c")],
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


def test_services_are_announced_before_ready_and_again_on_resume(raw: Raw) -> None:
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
    with FakeDaemon(missing_images=["gone:1"]) as daemon, connected(daemon) as raw:
        assert why_failed(raw, **spec).startswith("Error response from daemon: pull access denied")
        (event,) = raw.wait_for(pb.SANDBOX_FAILED)[2:]
        assert event.sandbox_phase.error_code == "SANDBOX_CREATE_FAILED"


def test_image_that_is_no_reference_fails_the_create(raw: Raw) -> None:
    assert why_failed(raw, image="Bad Image!!") == (
        "Error response from daemon: no such image: Bad Image!!: invalid reference format: "
        "repository name must be lowercase"
    )


def test_targets_that_differ_in_spelling_only_fail_the_create(raw: Raw, sources: Path) -> None:
    mounts = [{"source": str(sources / "dir"), "target": target} for target in ("/t/", "/t")]
    assert why_failed(raw, mounts=mounts) == "Error response from daemon: Duplicate mount point: /t"


def test_mount_over_the_exec_logs_fails_the_create(raw: Raw, sources: Path) -> None:
    source, target = sources / "dir", "/var/log/agents-sandbox/"
    assert why_failed(raw, mounts=[{"source": str(source), "target": target}]) == (
        f"conflicting mount target {target} for {source} and {raw.daemon.exec_log_root}/box-1"
    )


def test_tool_without_its_host_path_fails_the_create(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".codex").mkdir()

    why = why_failed(raw, builtin_tools=["codex"])
    assert why == f"stat {tmp_path}/.agents: no such file or directory"


def test_log_folder_that_cannot_be_made_fails_the_create(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with FakeDaemon(exec_log_root=tmp_path / "file") as daemon, connected(daemon) as raw:
        raw.create()
        (event,) = raw.wait_for(pb.SANDBOX_FAILED)[2:]
    assert event.sandbox_phase.error_code == "SANDBOX_CREATE_FAILED"
    assert str(tmp_path / "file" / "box-1") in event.sandbox_phase.error_message
