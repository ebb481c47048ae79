"""The rules that find a recording's host, files and commands: a new recording needs no code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox.testing import ContainerBehavior

from .hosts import host_of, make_fixtures
from .played import Look, played
from .replay import Report
from .test_replay import recording
from .transcripts import RECORDINGS, Json, Transcript, load_all

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

LATE = 0.1


def renamed(transcript: Transcript) -> Transcript:
    """The same recording with a name and ids that nobody has heard of."""
    ids = next(step["request"]["sandbox_id"] for step in transcript.steps if "request" in step)
    content = json.dumps([transcript.steps, transcript.events])
    steps, events = json.loads(content.replace(ids[:4], "own-"))
    return Transcript(transcript.daemon, "new", transcript.about, tuple(steps), events)


def transcript(*steps: Json, about: str = "", **events: Json) -> Transcript:
    return Transcript("v0.4.3", "new", about, steps, events)


def create(**spec: Json) -> Json:
    """An accepted create of the sandbox `box`."""
    return {
        "rpc": "CreateSandbox",
        "request": {"create_spec": spec},
        "response": {"sandbox": {"sandbox_id": "box"}},
    }


def event(event_type: str, **fields: Json) -> Json:
    return {"event_type": event_type, **fields}


@pytest.mark.parametrize(
    "name",
    [
        "v0.4.3/create_async_failures_04",
        "v0.4.3/delete_while_creating",
        "v0.4.3/exec_cancel_running",
        "v0.4.3/exec_parallel",
        "v0.2.1/services_failing_health",
        "v0.2.1/services_healthy",
        "v0.4.3/create_every_field",
    ],
)
def test_a_recording_needs_no_name(replayed: Callable[..., Report], name: str) -> None:
    report = replayed(renamed(recording(name)))
    assert report.compared == len(recording(name).steps)


def test_settings_are_told() -> None:
    host = host_of(transcript(about="retention with [runtime] idle_ttl=5s, cleanup_ttl=20s"))
    assert (host["idle_ttl"], host["cleanup_ttl"]) == (5.0, 20.0)
    assert "idle_ttl" not in host_of(transcript(about="retention"))


def test_images_of_a_domain_that_never_exists_are_missing() -> None:
    steps = (
        create(image="a:1", companion_containers=[{"name": "a", "image": "b.invalid/c/d:2"}]),
        {"rpc": "CreateSandbox", "request": {}, "config_yaml_text": "image: agbox.invalid/none:1"},
    )
    assert host_of(transcript(*steps))["missing_images"] == [
        "agbox.invalid/none:1",
        "b.invalid/c/d:2",
    ]


def containers(events: list[Json], **spec: Any) -> dict[str, ContainerBehavior]:
    found: dict[str, ContainerBehavior] = host_of(transcript(create(**spec), box=events))[
        "containers"
    ]
    return found


def test_commands_that_exit() -> None:
    exits, stays = ["sh", "-c", "exit 7"], ["sh", "-c", "exit 7; sleep 1"]
    sides = [{"name": "a", "command": exits}, {"name": "b", "command": stays}, {"name": "c"}]
    assert containers([], command=exits, companion_containers=sides) == {
        "box": ContainerBehavior(exits_after=0.0),
        "a": ContainerBehavior(exits_after=0.0),
        "b": ContainerBehavior(),
        "c": ContainerBehavior(),
    }


def test_health_checks_that_never_pass() -> None:
    services = [{"name": test, "healthcheck": {"test": ["CMD", test]}} for test in ("false", "ok")]
    found = containers([], required_services=services[:1], optional_services=services[1:])
    assert [found["false"].healthy, found["ok"].healthy] == [False, True]


def test_containers_that_start_after_their_sandbox() -> None:
    early, late = (
        event("COMPANION_CONTAINER_READY", companion_container={"name": name})
        for name in ("early", "late")
    )
    events = [event("SANDBOX_ACCEPTED"), early, event("SANDBOX_READY"), late]
    sides = [{"name": name} for name in ("early", "late", "never")]
    found = containers(events, companion_containers=sides)
    assert {name: it.starts_after for name, it in found.items()} == {
        "early": 0.0,
        "late": LATE,
        "never": 0.0,
    }
    found = containers(events[:2], companion_containers=sides)
    assert not any(it.starts_after for it in found.values())


def test_containers_that_do_not_start_again() -> None:
    def failure(code: str) -> Json:
        why = "container agbox-svc-box-db is not running while waiting for health"
        return event("SANDBOX_FAILED", sandbox_phase={"error_code": code, "error_message": why})

    sides = [{"name": "db"}, {"name": "cache"}]
    found = containers([failure("SANDBOX_RESUME_FAILED")], required_services=sides)
    assert [found["db"].resumes, found["cache"].resumes] == [False, True]
    found = containers([failure("SANDBOX_CREATE_FAILED")], required_services=sides)
    assert found["db"].resumes


def test_files_that_requests_name(tmp_path: Path) -> None:
    names = ("dir", "other/data.csv", "folder/sub", "gone")
    mounts = [{"source": f"<FIXTURES>/{name}", "target": "/x"} for name in names]
    refused = {
        **create(mounts=mounts),
        "error": {"message": "lstat <FIXTURES>/gone: no such file or directory"},
    }
    make_fixtures(tmp_path, transcript(refused))
    assert (tmp_path / "other/data.csv").is_file()
    assert (tmp_path / "folder/sub").is_dir()
    assert (tmp_path / "dir/hello.txt").is_file()
    assert not (tmp_path / "gone").exists()


def execs(command: list[str], *steps: Json, end: Json = None) -> Transcript:
    """A recording of one exec."""
    made = {
        "rpc": "CreateExec",
        "request": {"command": command},
        "response": {"exec_id": "e-1"},
    }
    return transcript(made, *steps, box=[] if end is None else [end])


def ended(event_type: str, exit_code: int | None = None) -> Json:
    details = {"exec_id": "e-1"} | ({} if exit_code is None else {"exit_code": exit_code})
    return event(event_type, exec=details)


@pytest.mark.parametrize(
    ("command", "end", "seconds"),
    [
        (["sleep", "2"], ended("EXEC_FINISHED"), 2.0),
        (["sleep", "x"], ended("EXEC_FAILED", 137), None),
        (["sleep", "60"], ended("EXEC_FAILED"), None),
        (["sleep", "60"], ended("EXEC_CANCELLED"), None),
        (["sleep", "60"], None, None),
        (["true"], ended("EXEC_FINISHED"), None),
        (["sh", "-c", "getent hosts db"], ended("EXEC_FAILED", 2), 0.0),
        (["id", "-u"], ended("EXEC_FINISHED"), 0.0),
    ],
)
def test_which_commands_are_played(command: list[str], end: Json, seconds: float | None) -> None:
    found = played(execs(command, end=end))
    assert [item.seconds for item in found.values()] == ([] if seconds is None else [seconds])


def test_logs_that_grow() -> None:
    def look(text: str | None) -> Json:
        paths = (f"<EXEC_LOG_ROOT>/box/{name}.stdout.log" for name in ("e-1", "e-2"))
        return {"host": "exec log files", "observed": dict.fromkeys(paths, text)}

    def wait(seconds: float) -> Json:
        return {"wait": {"seconds": seconds}}

    steps = (wait(0.5), wait(0.5), look("1\n"), {"wait": {}, "elapsed_s": 2.0}, look("1\n2\n"))
    (item,) = played(execs(["count"], *steps, end=ended("EXEC_FAILED", 3))).values()
    assert item.exit_code == 3
    assert item.looks == [Look(1.0, {"stdout": "1\n"}), Look(2.0, {"stdout": "1\n2\n"})]
    assert not played(execs(["count"], look(None), look("1\n"), look("1\n")))


@pytest.mark.parametrize(
    ("command", "cwd", "is_played"),
    [
        (["cat", "/opt/x"], "", True),
        (["sh", "-c", "echo x >>/tmp/x"], "", True),
        (["pwd"], "/srv", True),
        (["cat", "/mnt/x/a", "/mnt/y"], "/workspace", False),
        (["sh", "-c", "/bin/ls a/b 2>/dev/null"], "", False),
    ],
)
def test_what_needs_isolation_is_played_without(
    command: list[str], cwd: str, is_played: bool
) -> None:
    (made,) = execs(command).steps
    made["request"]["cwd"] = cwd
    mounts = (
        create(mounts=[{"source": "<FIXTURES>/dir", "target": "/mnt/x"}]),
        {**create(), "config_yaml_text": "mounts:\n- source: /a\n  target: /mnt/y\n"},
    )
    recorded = transcript(*mounts, made)
    assert bool(played(recorded, isolated=False)) is is_played
    assert not played(recorded, isolated=True)


def test_no_recording_needs_isolation_so_far() -> None:
    for item in load_all(RECORDINGS):
        assert played(item, isolated=False) == played(item, isolated=True)
