"""`ls`, `show`, `create`, `stop`, `resume`, `rm`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents_sandbox import (
    CompanionContainerSpec,
    HealthcheckConfig,
    SandboxState,
    ServiceSpec,
    SyncAgentsSandboxClient,
)
from agents_sandbox._cli.program import program
from agents_sandbox._cli.shapes import age, json_line, printable, text
from agents_sandbox.testing import FakeDaemon

from .conftest import Run, objects

pytestmark = pytest.mark.once


def test_a_list_has_one_line_with_tabs_for_each_sandbox(
    run: Run, client: SyncAgentsSandboxClient
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1", labels={"team": "agents", "job": "42"})
    client.create_sandbox(image="a:2", sandbox_id="box-2")
    client.delete_sandbox("box-2")
    created = client.get_sandbox("box-1").created_at
    assert created is not None
    result = run("ls")
    assert result.exit_code == 0
    name, state, when, image, labels = result.stdout.removesuffix("\n").split("\t")
    assert (name, state, image) == ("box-1", "READY", "a:1")
    assert datetime.fromisoformat(when) == created.replace(microsecond=0)
    assert labels == "job=42 team=agents"
    shown = {row[0]: row[1:] for row in map(str.split, run("ls", "--all").stdout.splitlines())}
    assert (shown["box-2"][0], shown["box-2"][-1]) == ("DELETED", "-")
    assert run("ls", "--label", "team=others").stdout == ""


def test_json_is_the_handle_wherever_the_option_stands(
    run: Run, client: SyncAgentsSandboxClient
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1", labels={"team": "agents"})
    (found,) = objects(run("ls", "--json").stdout)
    assert found["sandbox_id"] == "box-1"
    assert found["state"] == "READY"
    assert found["labels"] == {"team": "agents"}
    assert found["error_code"] is None
    assert objects(run("--json", "ls").stdout) == [found]


@pytest.mark.releases("0.2.1")
def test_a_sandbox_is_shown_without_the_values_of_its_variables(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep", "60")).never()
    client.create_sandbox(
        image="a:1",
        sandbox_id="box-1",
        labels={"team": "agents"},
        required_services=[
            ServiceSpec(
                "postgres",
                "postgres:16",
                envs={"PASSWORD": "secret", "A": "secret"},
                healthcheck=HealthcheckConfig(test=("CMD", "true"), interval=5),
            )
        ],
        optional_services=[ServiceSpec("redis", "redis:7")],
    )
    client.create_exec("box-1", ("sleep", "60"), exec_id="exec-1", env_overrides={"B": "secret"})
    shown, described = run("show", "box-1"), run("show", "box-1", "--json")
    assert "secret" not in shown.stdout + described.stdout
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert rows[:3] == [["sandbox_id", "box-1"], ["state", "READY"], ["image", "a:1"]]
    assert rows[5:] == [
        ["label", "team=agents"],
        ["required_service", "postgres postgres:16 (env A, PASSWORD)"],
        ["optional_service", "redis redis:7"],
        ["exec", "exec-1: sleep 60"],
    ]
    (found,) = objects(described.stdout)
    (service,) = found["required_services"]
    assert service["envs"] == ["A", "PASSWORD"]
    assert service["healthcheck"]["interval"] == 5
    (running,) = found["execs"]
    assert running["env_overrides"] == ["B"]
    client.delete_sandbox("box-1")


@pytest.mark.releases("0.3.0")
def test_a_failure_and_companions_are_shown(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.create_sandbox(
        image="a:1",
        sandbox_id="box-1",
        companion_containers=[CompanionContainerSpec("web", "web:1")],
        wait=False,
    )
    client.wait_for_sandbox("box-1")
    assert "companion_container\tweb web:1\n" in run("show", "box-1").stdout
    daemon.remove_container("box-1")
    client.wait_for_sandbox("box-1", SandboxState.FAILED)
    assert "\nerror\t" in run("show", "box-1").stdout


def test_a_create_prints_the_id(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("cpu_limit: '2'\n")
    options = ("--id", "box-1", "--label", "team=a=b", "--env", "TOKEN=x")
    result = run("create", "a:1", *options, "--config", str(tmp_path / "more.yaml"))
    assert result.stdout == "box-1\n"
    (record,) = daemon.sandboxes
    assert (record.state, record.spec.image) == (SandboxState.READY, "a:1")
    assert record.spec.labels["team"] == "a=b"
    assert record.spec.envs == {"TOKEN": "x"}
    (found,) = objects(run("create", "a:1", "--json").stdout)
    assert found["state"] == "READY"


def test_a_configuration_that_no_daemon_accepts_is_refused(run: Run, daemon: FakeDaemon) -> None:
    result = run("create", "a:1", "--config", "-", given="#" * (4 * 2**20 + 1))
    assert result.exit_code == 125
    assert result.stderr.endswith("Error: --config takes up to 4 MiB.\n")
    assert daemon.sandboxes == ()


@pytest.mark.parametrize("wrong", ["secret", "=secret"])
def test_a_label_or_variable_needs_a_name_and_a_value(run: Run, wrong: str) -> None:
    result = run("create", "a:1", "--env", wrong)
    assert result.exit_code == 125
    assert "expected NAME=VALUE" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize("option", ["--label", "--env"])
def test_a_name_has_one_value(run: Run, daemon: FakeDaemon, option: str) -> None:
    result = run("create", "a:1", option, "a=secret", option, "a=secret")
    assert result.exit_code == 125
    assert "a has two values" in result.stderr
    assert "secret" not in result.stderr
    assert daemon.calls == ()


def test_advice_is_for_people_at_a_shell() -> None:
    with FakeDaemon(missing_images=["gone:1"], ready_delay=1) as daemon:
        socket = ("--socket", daemon.socket_path)
        failed = CliRunner().invoke(program, [*socket, "create", "gone:1", "--id", "box-1"])
        late = CliRunner().invoke(program, [*socket, "--timeout", "0.2", "create", "a:1"])
    assert failed.exit_code == 125
    assert failed.stderr.startswith("agents-sandbox: sandbox box-1 failed: ")
    assert "Delete it" not in failed.stderr
    assert late.exit_code == 124
    assert late.stderr.endswith(". Increase --timeout\n")
    assert "_seconds" not in late.stderr


def test_sandboxes_are_stopped_and_resumed_in_turn(
    run: Run, client: SyncAgentsSandboxClient
) -> None:
    for name in ("box-1", "box-2"):
        client.create_sandbox(image="a:1", sandbox_id=name)
    assert run("stop", "box-1", "box-2").stdout == "box-1\nbox-2\n"
    assert client.get_sandbox("box-2").state is SandboxState.STOPPED
    (found,) = objects(run("--json", "resume", "box-1").stdout)
    assert (found["sandbox_id"], found["state"]) == ("box-1", "READY")


def test_sandboxes_are_deleted_by_id_or_label(run: Run, client: SyncAgentsSandboxClient) -> None:
    for place in range(1, 5):
        name = f"box-{place}"
        client.create_sandbox(image="a:1", sandbox_id=name, labels={"odd": str(place % 2)})
    assert run("rm", "box-2").stdout == "box-2\n"
    assert run("rm", "--label", "odd=1").stdout == "box-1\nbox-3\n"
    assert objects(run("rm", "--label", "odd=0", "--json").stdout) == [{"sandbox_id": "box-4"}]
    assert client.list_sandboxes() == []


def test_ids_of_a_peer_do_not_reach_the_terminal(
    run: Run, client: SyncAgentsSandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(client.create_sandbox(image="a:1"), sandbox_id="box\x1b[2J\n")
    monkeypatch.setattr(SyncAgentsSandboxClient, "stop_sandbox", lambda *_, **__: stopped)
    assert run("stop", "box-1").stdout == "box\\x1b[2J\\n\n"


@pytest.mark.parametrize("arguments", [(), ("box-1", "--label", "a=b")])
def test_what_to_delete_is_named_once(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("rm", *arguments)
    assert result.exit_code == 125
    assert "Name either sandboxes or labels." in result.stderr


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")]
)
def test_ages_have_one_unit(seconds: int, shown: str) -> None:
    assert age(datetime.now(timezone.utc) - timedelta(seconds=seconds)) == shown


def test_what_others_have_written_does_not_reach_the_terminal() -> None:
    assert printable("a\tb\x1b[2J\n\udc80ü") == "a\\tb\\x1b[2J\\n\\udc80ü"
    assert text({"a": "1\t2"}) == "a=1\\t2"


def test_secrets_of_json_are_those_of_reprs() -> None:
    @dataclass
    class Model:
        config_yaml: bytes | None
        env: dict[str, str]

    assert json_line(Model(b"password", {"B": "1", "A": "2"})) == (
        '{"config_yaml": "...", "env": ["A", "B"]}'
    )
    assert json_line(Model(None, {})) == '{"config_yaml": null, "env": []}'
