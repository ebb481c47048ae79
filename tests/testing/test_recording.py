"""The recorder: what passes through it, and what the cassette has."""

from __future__ import annotations

import copy
import gc
import json
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecConflictError,
    InvalidArgumentError,
    MountSpec,
    OperationTimeoutError,
    SandboxConflictError,
    SandboxNotFoundError,
    SandboxState,
    ServiceSpec,
    SyncAgentsSandboxClient,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.methods import CREATE_EXEC, CREATE_SANDBOX, SERVICE
from agents_sandbox._wire.status import TRAILER
from agents_sandbox.testing import FakeDaemon, Recorder
from agents_sandbox.testing._cassettes.cassette import Cassette, Take
from agents_sandbox.testing._cassettes.store import load
from agents_sandbox.testing._recording import outcome
from agents_sandbox.testing._recording.composing import compose
from agents_sandbox.testing._recording.observer import Observer
from agents_sandbox.testing._recording.outcome import Outcome

from ..releases import NEWEST
from .raw import TIMEOUT

pytestmark = pytest.mark.once

IMAGE = "python:3.13"
EVENTS = "SubscribeSandboxEvents"


@contextmanager
def recording(
    daemon: FakeDaemon, cassette: Path, **options: Any
) -> Iterator[SyncAgentsSandboxClient]:
    recorder = Recorder(daemon.socket_path, cassette=cassette, **options)
    with recorder, SyncAgentsSandboxClient(recorder.socket_path) as client:
        yield client


@contextmanager
def replaying(cassette: Path) -> Iterator[SyncAgentsSandboxClient]:
    daemon = FakeDaemon(cassette=cassette)
    with daemon, SyncAgentsSandboxClient(daemon.socket_path) as client:
        yield client


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "x.json"


def agent(client: SyncAgentsSandboxClient, commands: list[list[str]]) -> list[str]:
    """An agent whose model is a list of commands."""
    with client.sandbox(image=IMAGE) as sandbox:
        sandbox.files.write_text("input", "x")
        return [sandbox.run(command).stdout for command in commands]


async def async_agent(client: AgentsSandboxClient, commands: list[list[str]]) -> list[str]:
    async with client.sandbox(image=IMAGE) as sandbox:
        await sandbox.files.write_text("input", "x")
        return [(await sandbox.run(command)).stdout for command in commands]


COMMANDS = [
    ["sh", "-c", "cat notes || echo none"],
    ["sh", "-c", "echo first > notes"],
    ["sh", "-c", "cat notes || echo none"],
]


def recorded_agent(cassette: Path) -> list[str]:
    with FakeDaemon(exec_mode="passthrough") as daemon, recording(daemon, cassette) as client:
        return agent(client, COMMANDS)


async def test_an_agent_is_recorded_and_replayed_in_both_flavours(cassette: Path) -> None:
    outputs = recorded_agent(cassette)
    assert outputs == ["none\n", "", "first\n"]
    with FakeDaemon(cassette=cassette) as daemon:
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            assert agent(client, COMMANDS) == outputs
        daemon.assert_all_used()
        daemon.reset()
        async with AgentsSandboxClient(daemon.socket_path) as client_:
            assert await async_agent(client_, COMMANDS) == outputs
        daemon.assert_all_used()


def broken(cassette: Path, commands: list[list[str]]) -> tuple[list[str], str]:
    """What an agent that has changed gets, and what its test is told."""
    with FakeDaemon(cassette=cassette) as daemon:
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            outputs = agent(client, commands)
        told = []
        for check in (daemon.assert_all_scripted, daemon.assert_all_used):
            try:
                check()
            except AssertionError as error:
                told.append(str(error))
        with suppress(AssertionError):  # the same
            daemon.stop()
    return outputs, re.sub(r"exec \S+ in sandbox \S+:", "exec:", "\n".join(told))


def test_a_changed_agent_is_told_how_it_differs(cassette: Path) -> None:
    recorded_agent(cassette)
    first, write, _ = COMMANDS
    # Another argument.
    _, told = broken(cassette, [first, ["sh", "-c", "echo second > notes"], first])
    assert '- "echo first > notes"' in told
    assert '+ "echo second > notes"' in told
    assert f"exec-2 of sandbox-1 in '{cassette}'" in told
    # Another order: each command gets its own next take, so that the agent sees the difference.
    outputs, told = broken(cassette, [write, first, first])
    assert (outputs, told) == (["", "none\n", "first\n"], "")
    # A missing take.
    _, told = broken(cassette, [*COMMANDS, first])
    assert "exec-1 of sandbox-1" in told
    assert "all its takes were played (2 of 2)" in told
    # One that is not played.
    _, told = broken(cassette, COMMANDS[:2])
    assert f"exec-3 of sandbox-1, never played: {tuple(first)!r}" in told


def test_two_recordings_differ_in_durations_only(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        recorded_agent(tmp_path / name / "x.json")
        text = (tmp_path / name / "x.json").read_text()
        texts.append(re.sub(r'"seconds": [0-9.e-]+', '"seconds": 0', text))
    assert texts[0] == texts[1]
    assert "agboxd-" not in texts[0]


def test_binary_and_large_outputs(cassette: Path) -> None:
    size = 10_000_000
    command = ["head", "-c", str(size), "/dev/zero"]
    binary = ["printf", "\\377\\n"]
    with FakeDaemon(exec_mode="passthrough") as daemon, recording(daemon, cassette) as client:
        assert agent(client, [command, binary]) == ["\0" * size, "\ufffd\n"]
    (beside,) = cassette.parent.glob("x.json.sandbox-1.exec-1.*.stdout")
    assert beside.read_bytes() == bytes(size)
    assert '"base64": "/wo="' in cassette.read_text()
    with replaying(cassette) as client:
        assert agent(client, [command, binary]) == ["\0" * size, "\ufffd\n"]


def takes(cassette: Path) -> tuple[Take, ...]:
    (sandbox,) = load(cassette).sandboxes
    return sandbox.takes


def test_each_end_of_a_command(daemon: FakeDaemon, cassette: Path) -> None:
    daemon.on_exec(["ok"]).stdout("x").after(0.01)
    daemon.on_exec(["bad"]).stderr("y").exit(3)
    daemon.on_exec(["absent"]).fail("no such folder")
    for name in ("cancelled", "killed", "stopped", "restarted", "running"):
        daemon.on_exec([name]).stdout(name).never()
    with recording(daemon, cassette) as client:
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        for name in ("ok", "bad", "absent"):
            client.run(sandbox_id, [name], cwd="/srv")
        client.cancel_exec(client.create_exec(sandbox_id, ["cancelled"]).exec_id)
        with pytest.raises(OperationTimeoutError):
            client.run(sandbox_id, ["killed"], timeout_seconds=0.1, kill_on_timeout=True)
        exec_id = client.create_exec(sandbox_id, ["restarted"]).exec_id
        with daemon.down():
            pass
        assert client.get_exec(exec_id).error
        client.create_exec(sandbox_id, ["stopped"])
        client.stop_sandbox(sandbox_id)
        client.resume_sandbox(sandbox_id)
        client.create_exec(sandbox_id, ["running"])
    ends = {take.argv[0]: (take.exit_code, take.error) for take in takes(cassette)}
    assert ends == {
        "ok": (0, ""),
        "bad": (3, ""),
        "absent": (None, "no such folder"),
        "cancelled": (None, ""),
        "killed": (None, ""),
        "restarted": (None, ""),
        "stopped": (None, ""),
        "running": (None, ""),
    }
    by_name = {take.argv[0]: take for take in takes(cassette)}
    assert by_name["ok"].seconds > 0
    assert by_name["ok"].cwd == "/srv"
    assert by_name["running"].stdout == b"running"
    assert by_name["absent"].stdout is None


@pytest.mark.parametrize("release", ["0.2.1", NEWEST])
def test_what_is_asked_for_is_recorded_without_secrets(
    daemon: FakeDaemon, cassette: Path, tmp_path: Path
) -> None:
    daemon.on_exec(["login", "hunter2"]).stdout("hello hunter2")
    with recording(daemon, cassette, redact=["hunter2"]) as client:
        sandbox_id = client.create_sandbox(
            image=IMAGE,
            envs={"B": "value", "A": "value"},
            labels={"team": "hunter2"},
            mounts=[MountSpec(source=str(tmp_path), target="/data")],
        ).sandbox_id
        client.run(sandbox_id, ["login", "hunter2"], env_overrides={"TOKEN": "value"})
        client.run(sandbox_id, ["echo", sandbox_id])
    (sandbox,) = load(cassette).sandboxes
    assert sandbox.spec == {
        "envs": ["A", "B"],
        "image": IMAGE,
        "labels": {"team": "[redacted-1]"},
        "mounts": [{"target": "/data"}],
    }
    login, echo = sandbox.takes
    assert (login.argv, login.env) == (("login", "[redacted-1]"), ("TOKEN",))
    assert login.stdout == b"hello [redacted-1]"
    assert echo.argv == ("echo", "[sandbox-1]")
    text = cassette.read_text()
    assert not any(word in text for word in ("hunter2", "value", str(tmp_path), sandbox_id))
    with replaying(cassette) as client:
        again = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(again, ["login", "other"]).stdout == "hello [redacted-1]"
        assert client.run(again, ["echo", again]).exit_code == 0


@pytest.mark.parametrize("release", [NEWEST])
def test_yaml_services_and_creates_that_fail(daemon: FakeDaemon, cassette: Path) -> None:
    with recording(daemon, cassette) as client:
        client.create_sandbox(
            config_yaml=f"image: {IMAGE}\nenvs: {{A: secret}}\n"
            "companion_containers: {db: {image: 'postgres:16'}}\n"
        )
        with pytest.raises(InvalidArgumentError):
            client.create_sandbox(image=IMAGE, mounts=[MountSpec("/none", "/data")])
    (sandbox,) = load(cassette).sandboxes
    assert sandbox.image == IMAGE
    assert sandbox.spec == {"config_yaml": True}
    assert "SANDBOX_SERVICE_READY db" in sandbox.events
    assert "secret" not in cassette.read_text()


def test_a_sandbox_from_before_and_one_without_commands(daemon: FakeDaemon, cassette: Path) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as other:
        sandbox_id = other.create_sandbox(image=IMAGE).sandbox_id
        other.run(sandbox_id, ["unseen"])
    with recording(daemon, cassette) as client:
        client.run(sandbox_id, ["seen"])
    (sandbox,) = load(cassette).sandboxes
    assert (sandbox.image, sandbox.spec) == (IMAGE, {})
    assert [take.argv for take in sandbox.takes] == [("seen",)]
    assert sandbox.events[-2:] == ("EXEC_STARTED exec-1", "EXEC_FINISHED exec-1")


def test_lost_answers_are_no_gap(daemon: FakeDaemon, cassette: Path) -> None:
    daemon.on_exec(["a"]).stdout("x")
    with recording(daemon, cassette) as client:
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        client.run(sandbox_id, ["a"])
        with daemon.faults.losing_answers(method="CreateExec", times=1):
            client.run(sandbox_id, ["a"])
    assert [take.stdout for take in takes(cassette)] == [b"x", b"x"]


def test_a_daemon_that_names_no_logs(cassette: Path) -> None:
    observer = Observer()
    heard = observer.begin(CREATE_EXEC.path)
    heard.request(pb.CreateExecRequest(sandbox_id="s", command=["a"]).SerializeToString())
    heard.answer(pb.CreateExecResponse(exec_id="e").SerializeToString())
    assert observer.execs["e"].logs is None
    heard = observer.begin(CREATE_SANDBOX.path)
    heard.request(pb.CreateSandboxRequest().SerializeToString())
    assert list(observer.sandboxes) == ["s"]
    answer = pb.CreateSandboxResponse(sandbox=pb.SandboxHandle(sandbox_id="chosen"))
    heard.answer(answer.SerializeToString())
    assert observer.sandboxes["chosen"].is_known
    # What it cannot decode is none of its business.
    for path in (CREATE_SANDBOX.path, CREATE_EXEC.path, "/other"):
        heard = observer.begin(path)
        heard.request(b"\xff")
        heard.answer(b"\xff")
    assert list(observer.sandboxes) == ["s", "chosen"]


def test_new_episodes_are_appended(daemon: FakeDaemon, cassette: Path) -> None:
    for output, commands in (("old", [["a"]]), ("new", [["a"], ["b"]])):
        daemon.on_exec(lambda argv: True).stdout(output)
        with recording(daemon, cassette, mode="new_episodes") as client:
            agent(client, commands)
    assert [take.stdout for take in takes(cassette)] == [b"old", b"new"]


def test_new_episodes_know_a_command_whose_placeholder_has_another_number(
    daemon: FakeDaemon, cassette: Path
) -> None:
    for redact in (["hunter2"], ["other", "hunter2"]):
        with recording(daemon, cassette, mode="new_episodes", redact=redact) as client:
            agent(client, [["login", "hunter2"]])
    assert [take.argv for take in takes(cassette)] == [("login", "[redacted-1]")]


def test_a_block_that_an_exception_leaves_writes_nothing(
    daemon: FakeDaemon, cassette: Path
) -> None:
    with pytest.raises(KeyError), recording(daemon, cassette):
        raise KeyError
    with Recorder(daemon.socket_path, cassette=cassette) as recorder:
        recorder.discard()
        recorder.discard()
    assert not cassette.exists()


def test_without_the_daemon_nothing_is_written(daemon: FakeDaemon, cassette: Path) -> None:
    recorder = Recorder(daemon.socket_path, cassette=cassette).start()
    with SyncAgentsSandboxClient(recorder.socket_path) as client:
        client.create_sandbox(image=IMAGE)
        daemon.kill(stale_socket=False)
        with pytest.raises(DaemonUnavailableError):
            client.ping(timeout_seconds=0.2)
    with pytest.raises(RuntimeError, match="cassette was not written: the daemon failed with UNAV"):
        recorder.close()
    recorder.close()
    assert not cassette.exists()


def test_a_delete_in_progress_is_waited_for_but_not_for_ever(
    daemon: FakeDaemon, cassette: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "_TIMEOUT", 0.5)
    with daemon.paused(), recording(daemon, cassette) as client:
        client.create_sandbox(image=IMAGE, wait=False)
    (sandbox,) = load(cassette).sandboxes
    assert not sandbox.was_ready
    for method in ("GetSandbox", EVENTS):
        with (
            pytest.raises(RuntimeError, match=r"INTERNAL: broken$"),
            recording(daemon, cassette) as client,
        ):
            client.create_sandbox(image=IMAGE, wait=False)
            daemon.faults.fail_next(method, code="INTERNAL", message="broken")


@pytest.mark.parametrize("cleanly", [True, False])
def test_a_gap_in_the_events_is_an_error(
    daemon: FakeDaemon, cassette: Path, cleanly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "_TIMEOUT", 0.5)
    recorder = Recorder(daemon.socket_path, cassette=cassette).start()
    with SyncAgentsSandboxClient(recorder.socket_path) as client:
        client.create_sandbox(image=IMAGE, sandbox_id="mine")
    faults, refused = ExitStack(), "did not send all events of sandbox mine"
    with faults, pytest.raises(RuntimeError, match=refused):
        faults.enter_context(daemon.faults.skipping_events())
        if cleanly:
            faults.enter_context(daemon.faults.ending_at_deadlines(method=EVENTS, code="OK"))
        recorder.close()


@pytest.mark.parametrize("is_own", [True, False])
def test_a_purged_sandbox_is_told_and_the_others_are_recorded(
    daemon: FakeDaemon, cassette: Path, is_own: bool
) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as other:
        sandbox_id = other.create_sandbox(image=IMAGE).sandbox_id
    missing = "lacks sandboxes that the daemon has purged"
    with pytest.raises(RuntimeError, match=missing), recording(daemon, cassette) as client:
        if is_own:
            sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        client.run(sandbox_id, ["lost"])
        client.delete_sandbox(sandbox_id)
        daemon.purge(sandbox_id)
        client.run(client.create_sandbox(image=IMAGE).sandbox_id, ["kept"])
    assert [take.argv for take in takes(cassette)] == [("kept",)]


def test_what_the_daemon_refused_replaces_nothing(daemon: FakeDaemon, cassette: Path) -> None:
    with recording(daemon, cassette) as client:
        client.create_sandbox(image=IMAGE, sandbox_id="mine", labels={"a": "first"})
        with pytest.raises(SandboxConflictError):
            client.create_sandbox(image=IMAGE, sandbox_id="mine", labels={"a": "refused"})
        client.create_exec("mine", ["accepted"], exec_id="same")
        with pytest.raises(ExecConflictError):
            client.create_exec("mine", ["refused"], exec_id="same")
    (sandbox,) = load(cassette).sandboxes
    assert [take.argv for take in sandbox.takes] == [("accepted",)]
    assert sandbox.spec["labels"] == {"a": "first"}


def test_labels_are_recorded_whatever_their_names(daemon: FakeDaemon, cassette: Path) -> None:
    labels = {"envs": "prod", "source": "github"}
    with recording(daemon, cassette) as client:
        client.create_sandbox(image=IMAGE, labels=labels)
    (sandbox,) = load(cassette).sandboxes
    assert sandbox.spec["labels"] == labels


@pytest.mark.parametrize("release", ["0.2.1", NEWEST])
def test_values_of_variables_are_replaced_in_outputs(daemon: FakeDaemon, cassette: Path) -> None:
    daemon.on_exec(prefix=["sh"]).stdout("sk-live-1 sk-live-2 sk-live-3 labelled1 short\n")
    with recording(daemon, cassette) as client:
        sandbox_id = client.create_sandbox(
            image=IMAGE,
            envs={"KEY": "sk-live-1", "OTHER": "short"},
            labels={"name": "labelled1"},
            optional_services=[ServiceSpec("db", "postgres:16", envs={"KEY": "sk-live-2"})],
        ).sandbox_id
        client.run(sandbox_id, ["sh", "sk-live-3"], env_overrides={"TOKEN": "sk-live-3"}, input="x")
    (echo,) = takes(cassette)
    assert echo.stdout == b"[env-KEY] [env-KEY] [env-TOKEN] labelled1 short\n"
    assert echo.argv == ("sh", "[env-TOKEN]")
    assert echo.input == b"x"
    assert "sk-live" not in cassette.read_text()
    with (
        FakeDaemon(cassette=cassette, version=daemon.version) as replayed,
        SyncAgentsSandboxClient(replayed.socket_path) as client,
    ):
        sandbox_id = client.create_sandbox(image=IMAGE, envs={"KEY": "sk-live-4"}).sandbox_id
        env = {"TOKEN": "sk-live-5"}
        result = client.run(sandbox_id, ["sh", "sk-live-5"], env_overrides=env, input="x")
        assert result.stdout == "sk-live-4 sk-live-4 sk-live-5 labelled1 short\n"


def test_input_is_recorded_unless_it_is_large(daemon: FakeDaemon, cassette: Path) -> None:
    with recording(daemon, cassette, redact=["hunter2"]) as client:
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        client.run(sandbox_id, ["cat"], input=b"\xffhunter2")
        client.run(sandbox_id, ["cat"], input="x" * 1_000_000)
        client.run(sandbox_id, ["cat"])
    assert [take.input for take in takes(cassette)] == [b"\xff[redacted-1]", None, b""]


def test_a_call_that_is_not_understood_passes_all_the_same(
    daemon: FakeDaemon, cassette: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("mistake")

    monkeypatch.setitem(Observer._LISTENERS, CREATE_EXEC.path, fail)
    with (
        pytest.raises(RuntimeError, match="did not understand a call") as caught,
        recording(daemon, cassette) as client,
    ):
        client.run(client.create_sandbox(image=IMAGE).sandbox_id, ["a"])
    assert isinstance(caught.value.__cause__, KeyError)
    assert not cassette.exists()


def test_a_daemon_with_odd_paths_of_logs_can_be_recorded(cassette: Path) -> None:
    observer = Observer()
    create = pb.CreateExecRequest(sandbox_id="s", exec_id="lost", command=["a"])
    observer.begin(CREATE_EXEC.path).request(create.SerializeToString())
    heard = observer.begin(CREATE_EXEC.path)
    heard.request(pb.CreateExecRequest(sandbox_id="s", command=["a"]).SerializeToString())
    answer = pb.CreateExecResponse(exec_id="e", stdout_log_path="out.log")
    heard.answer(answer.SerializeToString())
    assert observer.error is None
    events = [
        pb.SandboxEvent(event_type=pb.EXEC_STARTED, exec=pb.ExecEventDetails(exec_id=exec_id))
        for exec_id in ("lost", "e")
    ]
    told = Outcome(NEWEST, {"s": events}, {"s": IMAGE})
    asked: list[str] = []
    recorded = compose(observer, told, asked.append, ())
    assert asked == ["s/lost.stdout.log", "s/lost.stderr.log", "out.log", ""]
    assert [take.stdout for take in recorded.sandboxes[0].takes] == [None, None]


def test_input_of_other_programs_that_look_alike_is_not_recorded(cassette: Path) -> None:
    file = "/tmp/.agents-sandbox-" + "0" * 32
    argv = ["sh", "-c", "script", "agents-sandbox-stdin", file, "1:A", "cat"]
    observer = Observer()
    heard = observer.begin(CREATE_EXEC.path)
    request = pb.CreateExecRequest(sandbox_id="s", exec_id="e", command=argv)
    heard.request(request.SerializeToString())
    assert observer.execs["e"].input is None


def test_what_is_wrong_is_refused(daemon: FakeDaemon, tmp_path: Path) -> None:
    wrong: Any = "once"
    with pytest.raises(ValueError, match="mode must be"):
        Recorder(daemon.socket_path, cassette=tmp_path / "x", mode=wrong)
    with pytest.raises(TypeError, match="redact must be a collection"):
        Recorder(daemon.socket_path, cassette=tmp_path / "x", redact="secret")
    recorder = Recorder(daemon.socket_path, cassette=tmp_path / "x")
    assert repr(recorder).startswith("<Recorder socket='")
    with pytest.raises(TypeError, match="pass its socket_path"):
        copy.copy(recorder)
    recorder.close()
    with pytest.raises(RuntimeError, match="started only once"):
        recorder.start()
    with pytest.raises(ValueError, match="cassette must not be empty"):
        Recorder(daemon.socket_path, cassette="")
    taken = Recorder(daemon.socket_path, cassette=tmp_path / "x", socket_path=daemon.socket_path)
    with pytest.raises(OSError, match="listen"):
        taken.start()
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_recorded_is_refused_before_it_happens(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("{")
    absent = tmp_path / "none.sock"
    for socket, cassette, kind, message in (
        (daemon.socket_path, tmp_path, IsADirectoryError, "must be a file, not a folder"),
        (daemon.socket_path, file / "x", NotADirectoryError, "this is no folder"),
        (daemon.socket_path, file, ValueError, f"cassette '{file}'"),
        (absent, tmp_path / "x", OSError, "no daemon listens"),
    ):
        recorder = Recorder(socket, cassette=cassette, mode="new_episodes")
        with pytest.raises(kind, match=message):
            recorder.start()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="this folder is closed"):
        Recorder(daemon.socket_path, cassette=tmp_path / "x").start()
    assert file.read_text() == "{"


def test_a_recorder_that_never_starts_leaves_no_folder(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recorder = Recorder(daemon.socket_path, cassette=tmp_path / "x")
    folder = Path(recorder.socket_path).parent
    assert folder.exists()
    del recorder
    gc.collect()
    assert not folder.exists()
    Recorder(daemon.socket_path, cassette=tmp_path / "x", socket_path=tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_refusals_of_unknown_methods_pass(daemon: FakeDaemon, cassette: Path) -> None:
    with Recorder(daemon.socket_path, cassette=cassette) as recorder:
        with grpc.insecure_channel(f"unix:{recorder.socket_path}") as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/NotYetKnown")
            for _ in range(150):
                with pytest.raises(grpc.RpcError) as caught:
                    call(b"", timeout=TIMEOUT)
                error: Any = caught.value
                assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        recorder.discard()


def test_streams_resume_and_a_restart_is_noticed(daemon: FakeDaemon, cassette: Path) -> None:
    daemon.on_exec(["a"]).after(0.01)
    with recording(daemon, cassette) as client:
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        with client.subscribe_sandbox_events(sandbox_id) as events:
            seen = [next(events)]
            with daemon.down():
                pass
            client.run(sandbox_id, ["a"])
            client.delete_sandbox(sandbox_id)
            for event in events:
                seen.append(event)
                if event.sandbox_state is SandboxState.DELETED:
                    break
        assert [event.sequence for event in seen] == list(range(1, len(seen) + 1))
        daemon.wait_for_streams(0)
    (sandbox,) = load(cassette).sandboxes
    assert sandbox.events == tuple(
        event.event_type.name + (" exec-1" if event.exec else "") for event in seen
    )


class Echo(grpc.GenericRpcHandler):
    """Answers whatever it is asked, with all that gRPC can send."""

    def service(self, handler_call_details: Any) -> Any:
        def echo(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            metadata = dict(context.invocation_metadata())
            context.send_initial_metadata((("first", metadata["sent"]),))
            yield handler_call_details.method.encode()
            yield from requests
            if context.time_remaining() < 2 * TIMEOUT:
                yield b"deadline"
            context.set_trailing_metadata(((TRAILER, metadata["raw-bin"]),))
            context.set_code(grpc.StatusCode.ABORTED)
            context.set_details("as sent: é")

        return grpc.stream_stream_rpc_method_handler(echo)


def test_every_call_passes_unchanged(tmp_path: Path) -> None:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(), [Echo()], options=options)
    path = tmp_path / "s"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    recorder = Recorder(path, cassette=tmp_path / "x.json").start()
    received, metadata = [], (("sent", "x"), ("raw-bin", b"\0\xff"))
    with grpc.insecure_channel(f"unix:{recorder.socket_path}", options) as channel:
        big = bytes(5_000_000)
        for timeout in (TIMEOUT, None):
            make: Any = channel.stream_stream(f"/{SERVICE}/NotYetKnown")
            call = make(iter((b"\xff", big)), timeout=timeout, metadata=metadata)
            with pytest.raises(grpc.RpcError) as caught:
                for answer in call:
                    received.append(answer)  # noqa: PERF402 - it raises at its end
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.ABORTED
            assert error.details() == "as sent: é"
            assert dict(error.trailing_metadata()) == {TRAILER: b"\0\xff"}
            assert dict(call.initial_metadata())["first"] == "x"
    name = f"/{SERVICE}/NotYetKnown".encode()
    assert received == [name, b"\xff", big, b"deadline", name, b"\xff", big]
    recorder.discard()
    server.stop(None).wait()


def test_requests_may_come_late_one_by_one_or_not_at_all(tmp_path: Path) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(), [Talk()])
    path = tmp_path / "s"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    recorder = Recorder(path, cassette=tmp_path / "x.json").start()
    with grpc.insecure_channel(f"unix:{recorder.socket_path}") as channel:
        make: Any = channel.stream_stream("/talk")
        for count in range(4):
            sent: Queue[bytes | None] = Queue()
            answers = make(iter(sent.get, None), timeout=TIMEOUT)
            for number in range(count):
                sent.put(b"%d" % number)
                assert next(answers) == b"%d" % number  # before the next request
            sent.put(None)
            assert list(answers) == []
        sent = Queue()
        sent.put(b"x")
        answers = make(iter(sent.get, None), timeout=TIMEOUT)
        assert next(answers) == b"x"
        answers.cancel()
        sent.put(None)
    recorder.discard()
    server.stop(None).wait()


class Talk(grpc.GenericRpcHandler):
    """Answers each request with itself."""

    def service(self, handler_call_details: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(lambda requests, _: requests)


def test_errors_keep_their_details(daemon: FakeDaemon, cassette: Path) -> None:
    with recording(daemon, cassette) as client, pytest.raises(SandboxNotFoundError) as caught:
        client.get_sandbox("none")
    assert caught.value.reason == "SANDBOX_NOT_FOUND"
    assert load(cassette) == Cassette(daemon.version)
    assert json.loads(cassette.read_text())["sandboxes"] == []
