"""From arguments to requests: every field is sent, and every wrong value is refused by name."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from agents_sandbox import InvalidArgumentError
from agents_sandbox._arguments.creates import NewExec
from agents_sandbox._sequence import EventSequence
from agents_sandbox._wire import requests
from agents_sandbox._wire import v02_pb2 as pb

ID = "box-1"


def create_exec(**arguments: Any) -> pb.CreateExecRequest:
    return requests.create_exec(NewExec(**{"sandbox_id": ID, "command": ("ls",), **arguments}))


def subscribe(*arguments: Any, **named: Any) -> pb.SubscribeSandboxEventsRequest:
    sequence = EventSequence(*arguments, **named)
    return requests.subscribe_sandbox_events(
        sequence.sandbox_id, sequence.position, sequence.wants_snapshot
    )


def test_an_exec_sends_everything() -> None:
    request = create_exec(
        command=["ls", "-l", ""], exec_id="exec-1", cwd=Path("/w"), env_overrides={"A": ""}
    )
    assert request == pb.CreateExecRequest(
        sandbox_id=ID, command=["ls", "-l", ""], exec_id="exec-1", cwd="/w", env_overrides={"A": ""}
    )


def test_an_id_left_out_becomes_a_new_uuid() -> None:
    first, second = create_exec().exec_id, create_exec().exec_id
    assert first != second
    for made in (first, second):
        assert str(uuid.UUID(made)) == made
        assert uuid.UUID(made).version == 4


def test_a_probe_names_no_sandbox_and_no_image() -> None:
    assert requests.probe("ports: []") == pb.CreateSandboxRequest(config_yaml=b"ports: []")


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
            subscribe(ID, 0),
            pb.SubscribeSandboxEventsRequest(sandbox_id=ID),
        ),
        (
            subscribe(ID, 2**64 - 1, True),
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


EXEC_REFUSALS: dict[str, list[Any]] = {
    "sandbox_id": ["", None],
    "command": ["ls -l", (), None, ["ls", 1], {"ls"}, {"ls": "-l"}],
    "exec_id": ["", "abc"],
    "cwd": [b"/w", "/a\0b"],
    "env_overrides": [["A=1"], {"A": None}],
}
REFUSALS: list[tuple[Callable[..., Message], dict[str, Any], str]] = [
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
            subscribe,
            {"sandbox_id": ID, "from_sequence": bad},
            "from_sequence",
        )
        for bad in (-1, 2**64, True, 1.0, None)
    ),
    (subscribe, {"sandbox_id": "", "from_sequence": 0}, "sandbox_id"),
    (
        subscribe,
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
