"""What people see in a terminal, and Ctrl-C."""

from __future__ import annotations

import pytest

from agents_sandbox import SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from ..deletions import wait_until_deleted
from .terminal import CTRL_C, Terminal

pytestmark = pytest.mark.once


def test_a_table_has_headings_and_colours(
    daemon: FakeDaemon, client: SyncAgentsSandboxClient
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1", labels={"a": "\x1b[2J", "job": "42"})
    with Terminal("--socket", daemon.socket_path, "ls") as terminal:
        assert terminal.end() == 0
    headings, first, second = terminal.text.splitlines()
    assert headings.split() == ["SANDBOX", "STATE", "AGE", "IMAGE", "LABELS"]
    name, state, age, image, label = first.split()
    assert (name, state, image) == ("box-1", "READY", "a:1")
    assert age.endswith("s")
    assert [label, second.strip()] == ["a=\\x1b[2J", "job=42"]
    assert "\x1b[32mREADY" in terminal.printed


def test_facts_have_no_headings(daemon: FakeDaemon, client: SyncAgentsSandboxClient) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    with Terminal("--socket", daemon.socket_path, "show", "box-1", NO_COLOR="1") as terminal:
        assert terminal.end() == 0
    assert terminal.text.splitlines()[0].split() == ["sandbox_id", "box-1"]
    assert "\x1b[32m" not in terminal.printed


def test_events_have_aligned_columns(daemon: FakeDaemon, client: SyncAgentsSandboxClient) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    with Terminal("--socket", daemon.socket_path, "events", "box-1") as terminal:
        assert terminal.end() == 0
    assert terminal.text.splitlines()[1].split()[2:] == ["SANDBOX_PREPARING", "materialize"]


@pytest.mark.parametrize("release", ["0.4.1"])
def test_advice_has_its_own_line(daemon: FakeDaemon) -> None:
    with Terminal("--socket", daemon.socket_path, "doctor") as terminal:
        assert terminal.end() == 0
    assert terminal.text.splitlines()[-1].split()[:3] == ["->", "Upgrade", "the"]


def test_a_spinner_shows_the_time_until_there_is_output(daemon: FakeDaemon) -> None:
    daemon.on_exec(("make",)).stdout("done\n").exit(3)
    with Terminal("--socket", daemon.socket_path, "run", "a:1", "make") as terminal:
        assert terminal.end() == 3
    assert "Creating the sandbox (Ctrl-C deletes it) 0:00:00" in terminal.text
    assert terminal.printed.endswith("\x1b[?25h")
    assert "done\n" in terminal.text
    with Terminal("--json", "--socket", daemon.socket_path, "run", "a:1", "make") as terminal:
        assert terminal.end() == 3
    assert "Creating" not in terminal.text


def test_a_terminal_is_no_input(daemon: FakeDaemon) -> None:
    with Terminal("--socket", daemon.socket_path, "run", "-i", "a:1", "cat") as terminal:
        assert terminal.end() == 125
    assert "-i needs a file or a pipe" in terminal.text
    with Terminal("--socket", daemon.socket_path, "create", "a:1", "--config", "-") as terminal:
        assert terminal.end() == 125
    assert "--config needs a file or a pipe" in terminal.text
    assert daemon.calls == ()


def test_ctrl_c_kills_the_command_and_deletes_the_sandbox(daemon: FakeDaemon) -> None:
    daemon.on_exec(("server",)).stdout("listening\n").never()
    with Terminal("--socket", daemon.socket_path, "run", "a:1", "server") as terminal:
        terminal.wait_for("listening")
        terminal.type(CTRL_C)
        assert terminal.end() == 130
    assert "Traceback" not in terminal.text
    assert daemon.execs[0].exit_code == 137
    wait_until_deleted(daemon)


def test_ctrl_c_kills_the_command_in_an_existing_sandbox(
    daemon: FakeDaemon, client: SyncAgentsSandboxClient
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    daemon.on_exec(("server",)).stdout("listening\n").never()
    with Terminal("--socket", daemon.socket_path, "run", "box-1", "server") as terminal:
        terminal.wait_for("listening")
        terminal.type(CTRL_C)
        assert terminal.end() == 130
    assert daemon.execs[0].exit_code == 137
    assert daemon.sandboxes[0].state is SandboxState.READY


def test_a_second_ctrl_c_leaves_nothing_either(daemon: FakeDaemon) -> None:
    daemon.on_exec(("server",)).stdout("listening\n").never()
    with Terminal("--socket", daemon.socket_path, "run", "a:1", "server") as terminal:
        terminal.wait_for("listening")
        with daemon.paused() as pause:
            terminal.type(CTRL_C)
            daemon.wait_for_call("CreateExec", count=2)  # the kill
            terminal.type(CTRL_C)
            pause.step()
        assert terminal.end() == 130
    assert "KeyboardInterrupt" not in terminal.text
    assert daemon.execs[0].exit_code == 137
    wait_until_deleted(daemon)


def test_ctrl_c_during_the_create_deletes_the_sandbox(daemon: FakeDaemon) -> None:
    with Terminal("--socket", daemon.socket_path, "run", "a:1", "server") as terminal:
        with daemon.paused():
            daemon.wait_for_call("CreateSandbox")
            terminal.type(CTRL_C)
            daemon.wait_for_call("DeleteSandbox")
        assert terminal.end() == 130
    assert daemon.execs == ()
    wait_until_deleted(daemon)
