"""Arguments to requests: every field is sent, everything wrong is refused by name."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from agents_sandbox import (
    CopySpec,
    HealthcheckConfig,
    InvalidArgumentError,
    MountSpec,
    ServiceSpec,
)
from agents_sandbox._wire import requests
from agents_sandbox._wire import v02_pb2 as pb

ID = "box-1"
NO_CREATE_ARGUMENTS: dict[str, Any] = {
    "image": None,
    "sandbox_id": None,
    "config_yaml": None,
    "mounts": (),
    "copies": (),
    "builtin_tools": (),
    "required_services": (),
    "optional_services": (),
    "labels": None,
    "envs": None,
    "idle_ttl": None,
}


def create_sandbox(**arguments: Any) -> pb.CreateSandboxRequest:
    return requests.create_sandbox(**{**NO_CREATE_ARGUMENTS, "image": "img", **arguments})


def create_exec(**arguments: Any) -> pb.CreateExecRequest:
    plain = {
        "sandbox_id": ID,
        "command": ("ls",),
        "exec_id": None,
        "cwd": "",
        "env_overrides": None,
    }
    return requests.create_exec(**{**plain, **arguments})


def test_a_create_sends_everything() -> None:
    postgres = ServiceSpec(
        "db", "postgres:16", {"A": "1"}, HealthcheckConfig(["CMD", "true"], "5s", retries=4), ["x"]
    )
    request = create_sandbox(
        image="img:1",
        sandbox_id="demo-sandbox",
        config_yaml="image: other",
        mounts=[MountSpec(Path("/a"), "/b", writable=True)],
        copies=iter([CopySpec("/c", "/d", ["*.pyc"])]),
        builtin_tools=["git", "uv"],
        required_services=[postgres],
        optional_services=(ServiceSpec("cache", "redis:7"),),
        labels={"team": "core"},
        envs={"B": "2"},
        idle_ttl="1m30s",
    )
    assert request == pb.CreateSandboxRequest(
        sandbox_id="demo-sandbox",
        config_yaml=b"image: other",
        create_spec=pb.CreateSpec(
            image="img:1",
            mounts=[pb.MountSpec(source="/a", target="/b", writable=True)],
            copies=[pb.CopySpec(source="/c", target="/d", exclude_patterns=["*.pyc"])],
            builtin_tools=["git", "uv"],
            required_services=[
                pb.ServiceSpec(
                    name="db",
                    image="postgres:16",
                    envs={"A": "1"},
                    healthcheck=pb.HealthcheckConfig(
                        test=["CMD", "true"], interval=Duration(seconds=5), retries=4
                    ),
                    post_start_on_primary=["x"],
                )
            ],
            optional_services=[pb.ServiceSpec(name="cache", image="redis:7")],
            labels={"team": "core"},
            envs={"B": "2"},
            idle_ttl=Duration(seconds=90),
        ),
    )


def test_a_plain_create_sends_the_image_alone() -> None:
    request = create_sandbox(sandbox_id=ID)
    assert request == pb.CreateSandboxRequest(sandbox_id=ID, create_spec=pb.CreateSpec(image="img"))


@pytest.mark.parametrize(
    ("config_yaml", "sent"),
    [(None, b""), ("", b""), (b"", b""), ("image: \u00e9", b"image: \xc3\xa9"), (b"\xff", b"\xff")],
)
def test_config_yaml_is_sent_as_it_is(config_yaml: str | bytes | None, sent: bytes) -> None:
    assert create_sandbox(config_yaml=config_yaml).config_yaml == sent


def test_only_config_yaml_can_stand_in_for_the_image() -> None:
    assert create_sandbox(image=None, config_yaml="image: x").create_spec.image == ""
    for nothing in (None, "", b""):
        for image in (None, ""):
            with pytest.raises(InvalidArgumentError, match="image is required: pass image="):
                create_sandbox(image=image, config_yaml=nothing)


@pytest.mark.parametrize(
    ("idle_ttl", "sent"),
    [
        (0, Duration()),
        ("0", Duration()),
        (1.5, Duration(seconds=1, nanos=500_000_000)),
        (timedelta(hours=1), Duration(seconds=3600)),
    ],
)
def test_an_idle_ttl_of_zero_is_sent_unlike_none(idle_ttl: Any, sent: Duration) -> None:
    spec = create_sandbox(idle_ttl=idle_ttl).create_spec
    assert spec.HasField("idle_ttl")
    assert spec.idle_ttl == sent
    assert not create_sandbox(idle_ttl=None).create_spec.HasField("idle_ttl")


def test_an_exec_sends_everything() -> None:
    request = create_exec(
        command=["ls", "-l", ""], exec_id="exec-1", cwd=Path("/w"), env_overrides={"A": ""}
    )
    assert request == pb.CreateExecRequest(
        sandbox_id=ID, command=["ls", "-l", ""], exec_id="exec-1", cwd="/w", env_overrides={"A": ""}
    )


@pytest.mark.parametrize(
    "generate", [lambda: create_sandbox().sandbox_id, lambda: create_exec().exec_id]
)
def test_ids_left_out_become_new_uuids(generate: Callable[[], str]) -> None:
    first, second = generate(), generate()
    assert first != second
    for made in (first, second):
        assert str(uuid.UUID(made)) == made
        assert uuid.UUID(made).version == 4


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (requests.ping(), pb.PingRequest()),
        (requests.get_sandbox(ID), pb.GetSandboxRequest(sandbox_id=ID)),
        (requests.list_sandboxes(False, None), pb.ListSandboxesRequest()),
        (
            requests.list_sandboxes(True, {"a": ""}),
            pb.ListSandboxesRequest(include_deleted=True, label_selector={"a": ""}),
        ),
        (requests.resume_sandbox(ID), pb.ResumeSandboxRequest(sandbox_id=ID)),
        (requests.stop_sandbox(ID), pb.StopSandboxRequest(sandbox_id=ID)),
        (requests.delete_sandbox(ID), pb.DeleteSandboxRequest(sandbox_id=ID)),
        (
            requests.delete_sandboxes({"a": "b"}),
            pb.DeleteSandboxesRequest(label_selector={"a": "b"}),
        ),
        (
            requests.subscribe_sandbox_events(ID, 0),
            pb.SubscribeSandboxEventsRequest(sandbox_id=ID),
        ),
        (
            requests.subscribe_sandbox_events(ID, 2**64 - 1, True),
            pb.SubscribeSandboxEventsRequest(
                sandbox_id=ID, from_sequence=2**64 - 1, include_current_snapshot=True
            ),
        ),
        (requests.cancel_exec("e"), pb.CancelExecRequest(exec_id="e")),
        (requests.get_exec("e"), pb.GetExecRequest(exec_id="e")),
    ],
    ids=lambda message: type(message).__name__,
)
def test_the_other_requests(request_: Message, expected: Message) -> None:
    assert request_ == expected


def test_running_execs_are_listed_of_one_sandbox_or_of_all() -> None:
    everywhere = requests.list_active_execs(None)
    assert not everywhere.HasField("sandbox_id")
    assert everywhere == pb.ListActiveExecsRequest()
    one = requests.list_active_execs(ID)
    assert one.HasField("sandbox_id")
    assert one.sandbox_id == ID


CREATE_REFUSALS: dict[str, list[Any]] = {
    "image": [b"img", "\ud800"],
    "sandbox_id": ["", "abc", "-abcd", 1],
    "config_yaml": [1, bytearray(b"a"), "\ud800"],
    "mounts": [None, MountSpec("/a", "/b"), ["/a"]],
    "copies": [None, [MountSpec("/a", "/b")]],
    "builtin_tools": ["git", {"git"}, [1]],
    "required_services": ["db", ["db"]],
    "optional_services": [{"db": "img"}],
    "labels": [[("a", "b")], {"a": 1}],
    "envs": ["A=1", {1: "a"}],
    "idle_ttl": ["5", -1, "-1s", True, float("nan"), timedelta.max],
}
EXEC_REFUSALS: dict[str, list[Any]] = {
    "sandbox_id": ["", None],
    "command": ["ls -l", (), None, ["ls", 1], {"ls"}, {"ls": "-l"}],
    "exec_id": ["", "abc"],
    "cwd": [None, b"/w", "/a\0b"],
    "env_overrides": [["A=1"], {"A": None}],
}
REFUSALS: list[tuple[Callable[..., Message], dict[str, Any], str]] = [
    *(
        (create_sandbox, {name: bad}, name)
        for name, all_ in CREATE_REFUSALS.items()
        for bad in all_
    ),
    *((create_exec, {name: bad}, name) for name, all_ in EXEC_REFUSALS.items() for bad in all_),
    *(
        (function, {"sandbox_id": bad}, "sandbox_id")
        for function in (
            requests.get_sandbox,
            requests.resume_sandbox,
            requests.stop_sandbox,
            requests.delete_sandbox,
            requests.list_active_execs,
        )
        for bad in ("", 1, "\ud800")
    ),
    (requests.get_exec, {"exec_id": ""}, "exec_id"),
    (requests.cancel_exec, {"exec_id": None}, "exec_id"),
    (
        requests.list_sandboxes,
        {"include_deleted": False, "label_selector": ["a"]},
        "label_selector",
    ),
    (requests.list_sandboxes, {"include_deleted": 1, "label_selector": None}, "include_deleted"),
    (requests.delete_sandboxes, {"label_selector": {}}, "label_selector must not be empty"),
    (requests.delete_sandboxes, {"label_selector": None}, "label_selector"),
    *(
        (
            requests.subscribe_sandbox_events,
            {"sandbox_id": ID, "from_sequence": bad},
            "from_sequence",
        )
        for bad in (-1, 2**64, True, 1.0, None)
    ),
    (requests.subscribe_sandbox_events, {"sandbox_id": "", "from_sequence": 0}, "sandbox_id"),
    (
        requests.subscribe_sandbox_events,
        {"sandbox_id": ID, "from_sequence": 0, "include_current_snapshot": "no"},
        "include_current_snapshot",
    ),
]


@pytest.mark.parametrize(("function", "arguments", "named"), REFUSALS)
def test_what_is_wrong_is_refused_by_name(
    function: Callable[..., Message], arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        function(**arguments)
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    "arguments",
    [{"labels": ()}, {"envs": 0}, {"mounts": ""}, {"image": 0, "config_yaml": "image: x"}],
    ids=str,
)
def test_what_is_false_but_of_another_type_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"^{next(iter(arguments))} must be"):
        create_sandbox(**arguments)


def test_config_yaml_may_be_bytes_too() -> None:
    with pytest.raises(InvalidArgumentError, match="str or bytes"):
        create_sandbox(config_yaml=bytearray(b"image: x"))
