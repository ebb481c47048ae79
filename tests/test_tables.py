"""What notebooks show of models: tables, without secrets, and safe whatever the daemon says."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecHandle,
    ExecResult,
    ExecState,
    InvalidArgumentTypeError,
    PingInfo,
    Sandbox,
    SandboxHandle,
    SandboxState,
    SyncAgentsSandboxClient,
    SyncSandbox,
    table,
)
from agents_sandbox._arguments.creates import NewSandbox

from .pictures import a_failed_sandbox
from .test_secrets import HOLDERS, SECRET

pytestmark = pytest.mark.once

HANDLE = SandboxHandle(
    "box-1",
    SandboxState.READY,
    3,
    labels={"job": "42"},
    created_at=datetime(2026, 3, 2, 9, 30, tzinfo=timezone.utc),
    image="a:1",
)


def html(value: Any) -> str:
    shown: str = value._repr_html_()
    return shown


def rows(value: object) -> list[list[str]]:
    """The cells of a table, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", html(value))
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found]


def test_a_handle_is_a_table_of_what_is_set() -> None:
    assert ">SandboxHandle</caption>" in html(HANDLE)
    assert rows(HANDLE) == [
        ["sandbox_id", "box-1"],
        ["state", "READY"],
        ["last_event_sequence", "3"],
        ["labels", "{&#x27;job&#x27;: &#x27;42&#x27;}"],
        ["created_at", "2026-03-02T09:30:00+00:00"],
        ["image", "a:1"],
    ]
    assert rows(PingInfo("0.4.3", "agboxd")) == [["version", "0.4.3"], ["daemon", "agboxd"]]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_no_table_shows_values_of_variables(holder: object) -> None:
    assert SECRET not in html(holder) + html(table([holder])) + str(table([holder]))
    assert "TOKEN" in html(holder)


def test_no_table_shows_configurations_or_output() -> None:
    assert ["config_yaml", "..."] in rows(NewSandbox(config_yaml=f"envs: {{TOKEN: {SECRET}}}"))
    result = ExecResult(
        "exec-1", "box-1", ExecState.FINISHED, ("env",), "", {}, 0, stdout=SECRET, stderr=SECRET
    )
    assert SECRET not in html(result) + str(table([result]))
    assert ["exit_code", "0"] in rows(result)


HOSTILE = "<script>alert('1')</script>\n\x1b[2J\u202e"


def test_what_the_daemon_says_is_text_and_no_markup() -> None:
    handle = SandboxHandle(HOSTILE, SandboxState.FAILED, labels={HOSTILE: HOSTILE}, image=HOSTILE)
    for shown in (html(handle), html(table([handle])), str(table([handle]))):
        assert not {"\x1b", "\u202e"} & {*shown}
    assert "<script" not in html(handle) + html(table([handle]))
    assert len(str(table([handle])).splitlines()) == 3  # a caption, a header, a row


def test_a_value_is_shortened() -> None:
    handle = ExecHandle("exec-1", "box-1", ExecState.FAILED, (), "", {}, error="x" * 1_000_000)
    assert len(html(handle)) < 4_000
    assert len(html(table([handle] * 100_000))) < 400_000


@pytest.mark.parametrize(
    ("client", "kind"),
    [(AgentsSandboxClient, Sandbox), (SyncAgentsSandboxClient, SyncSandbox)],
)
def test_a_sandbox_shows_what_it_knows(client: Any, kind: Any, tmp_path: Path) -> None:
    unknown = kind(client("/nowhere"), "box-1")
    assert f">{kind.__name__}</caption>" in html(unknown)
    assert rows(unknown) == [["sandbox_id", "box-1"]]
    known = kind(client("/nowhere"), "box-1", HANDLE, workspace=tmp_path)
    assert rows(known) == [*rows(HANDLE), ["workspace", str(tmp_path)]]


def test_handles_are_the_rows_of_a_table() -> None:
    handles = [HANDLE, SandboxHandle("box-22", SandboxState.PENDING, image="b:1")]
    assert str(table(handles)) == repr(table(handles))
    assert str(table(handles)).splitlines() == [
        "2 SandboxHandle",
        "sandbox_id  state    last_event_sequence  labels         created_at                 image",
        "box-1       READY    3                    {'job': '42'}  2026-03-02T09:30:00+00:00  a:1",
        "box-22      PENDING                                                                 b:1",
    ]
    assert rows(table(iter(handles)))[0] == [
        *("sandbox_id", "state", "last_event_sequence", "labels", "created_at", "image")
    ]
    assert rows(table(handles))[2] == ["box-22", "PENDING", "", "", "", "b:1"]


def test_the_details_of_events_have_columns_of_their_own() -> None:
    lines = str(table(a_failed_sandbox().events)).splitlines()
    header = lines[1].split()
    assert header[4:] == [
        *("occurred_at", "sandbox_state", "phase", "error_code", "error_message"),
        *("exec_id", "exit_code", "service_name"),
    ]
    assert "the primary container was killed: no memory" in lines[-1]
    assert "CONTAINER_CRASHLOOP" in lines[-2]


def test_a_table_can_have_several_kinds_and_only_so_many_rows() -> None:
    assert "2 PingInfo, SandboxHandle" in html(table([HANDLE, PingInfo("0.4.3", "agboxd")]))
    many = table([HANDLE] * 1000)
    assert "1000 SandboxHandle: the first 200" in html(many)
    assert len(rows(many)) == 201


def test_a_table_of_nothing_says_so() -> None:
    assert str(table([])) == "nothing"
    assert "nothing" in html(table([]))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InvalidArgumentTypeError, match="items\\[1\\] must be a model such as a"):
        table([HANDLE, "box-1"])
