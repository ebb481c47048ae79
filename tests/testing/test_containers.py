"""Containers that die or are removed without the daemon's knowledge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .raw import Raw, connected, name

pytestmark = pytest.mark.once

OLDER = ["0.2.0", "0.2.1", "0.3.0", "0.3.2"]
NEWER = ["0.4.0", "0.4.2", "0.4.3", "dev"]


@contextmanager
def ready(version: str, **options: Any) -> Iterator[Raw]:
    """A daemon with a frozen clock, and a READY sandbox `box-1` with the side container `side`."""
    options.setdefault("virtual_time", True)
    with FakeDaemon(version=version, **options) as daemon, connected(daemon) as raw:
        old = version.startswith("0.2.")
        field = "optional_services" if old else "companion_containers"
        spec: dict[str, Any] = {field: [{"name": "side", "image": "redis:7"}]}
        raw.create(**spec)
        daemon.advance(1)
        yield raw


def state(raw: Raw) -> str:
    return pb.SandboxState.Name(raw.get().state).removeprefix("SANDBOX_STATE_")


def after_ready(raw: Raw, count: int) -> list[tuple[str, str, str]]:
    """The names, codes and messages of the first events after READY."""
    events: list[pb.SandboxEvent] = []
    with raw.stream(from_sequence=4) as stream:
        while len(events) < count:
            events.append(next(stream))
    details = [
        event.service if event.HasField("service") else event.sandbox_phase for event in events
    ]
    return [
        (name(event), detail.error_code, detail.error_message)
        for event, detail in zip(events, details, strict=True)
    ]


@pytest.mark.parametrize("version", OLDER)
@pytest.mark.parametrize(
    ("oom", "code", "end"), [(False, "CONTAINER_DIED", "die"), (True, "CONTAINER_OOM", "oom")]
)
def test_older_daemons_report_deaths_immediately(
    version: str, oom: bool, code: str, end: str
) -> None:
    noun = "service container" if version.startswith("0.2") else "companion container"
    with ready(version) as raw:
        raw.daemon.kill_container("box-1", "side", oom=oom)
        assert state(raw) == "READY"
        raw.daemon.kill_container("box-1", oom=oom)
        assert state(raw) == "FAILED"
        assert after_ready(raw, 2) == [
            ("SANDBOX_SERVICE_FAILED:READY", code, f"{noun} {end}"),
            ("SANDBOX_FAILED:FAILED", code, f"primary container {end}"),
        ]


@pytest.mark.parametrize("version", NEWER)
@pytest.mark.parametrize(
    ("oom", "code", "end"),
    [(False, "CONTAINER_CRASHLOOP", "exited"), (True, "CONTAINER_OOM", "OOM killed")],
)
def test_newer_daemons_wait_five_minutes(version: str, oom: bool, code: str, end: str) -> None:
    with ready(version) as raw:
        raw.daemon.kill_container("box-1", "side", oom=oom)
        raw.daemon.advance(50)
        raw.daemon.kill_container("box-1", oom=oom)
        raw.daemon.advance(299)
        assert state(raw) == "READY"
        raw.daemon.advance(16)
        assert state(raw) == "FAILED"
        companion = ("SANDBOX_SERVICE_FAILED:READY", code, f"companion container {end}")
        primary = ("SANDBOX_FAILED:FAILED", code, f"primary container {end}")
        # The daemon checks every 15 s; each check that finds the companion down reports it.
        assert after_ready(raw, 4) == [*[companion] * 3, primary]


@pytest.mark.parametrize("version", NEWER)
def test_removed_containers_fail_at_the_next_check(version: str) -> None:
    why = "not running (detected during reconciliation)"
    side = ("SANDBOX_SERVICE_FAILED:READY", "CONTAINER_NOT_RUNNING", f"companion container {why}")
    primary = ("SANDBOX_FAILED:FAILED", "CONTAINER_NOT_RUNNING", f"primary container {why}")
    with ready(version) as raw:
        raw.daemon.kill_container("box-1", "side")
        raw.daemon.remove_container("box-1", "side")
        raw.daemon.advance(15)
        assert after_ready(raw, 1) == [side]
        raw.daemon.remove_container("box-1")
        raw.daemon.advance(13)
        assert state(raw) == "READY"
        raw.daemon.advance(2)
        assert state(raw) == "FAILED"
        assert after_ready(raw, 2) == [side, primary]


@pytest.mark.parametrize("version", NEWER)
def test_execs_fail_until_a_removed_primary_is_noticed(version: str) -> None:
    with ready(version) as raw:
        raw.daemon.on_exec(("serve",)).never()
        raw.start("serve", exec_id="exec-0")
        raw.daemon.advance(0)
        raw.daemon.remove_container("box-1")
        assert raw.exec("exec-0").exit_code == 137
        raw.start()
        ended = raw.finished()
        assert (ended.state, ended.exit_code, ended.error) == (
            pb.EXEC_STATE_FAILED,
            0,
            "Error response from daemon: No such container: agbox-primary-box-1",
        )
        assert state(raw) == "READY"
        raw.daemon.advance(15)
        assert raw.get().state == pb.SANDBOX_STATE_FAILED
        assert raw.get().error_code == "CONTAINER_NOT_RUNNING"
        assert raw.refused(methods.CREATE_EXEC, sandbox_id="box-1").reason == "SANDBOX_NOT_READY"


@pytest.mark.parametrize("version", OLDER)
def test_older_daemons_notice_a_removed_primary_immediately(version: str) -> None:
    with ready(version) as raw:
        raw.daemon.remove_container("box-1")
        assert state(raw) == "FAILED"
        assert after_ready(raw, 1)[0][1:] == ("CONTAINER_DIED", "primary container die")


@pytest.mark.parametrize("version", NEWER)
def test_container_removed_while_it_is_down_fails(version: str) -> None:
    with ready(version, containers={"side": ContainerBehavior(resumes=False)}) as raw:
        for method in (methods.STOP_SANDBOX, methods.RESUME_SANDBOX):
            raw(method, sandbox_id="box-1")
            raw.daemon.advance(0)
        before = raw.get().last_event_sequence
        raw.daemon.remove_container("box-1", "side")
        raw.daemon.advance(15)
        assert raw.history()[before:] == ["SANDBOX_SERVICE_FAILED:READY"]


def test_start_clears_the_oom_flag_of_a_container() -> None:
    with FakeDaemon(version="0.2.1") as daemon, connected(daemon) as raw:
        with daemon.paused() as pause:
            raw.create()
            pause.step()
            daemon.kill_container("box-1", oom=True)  # not reported before READY
        raw.wait_for(pb.SANDBOX_READY)
        raw.start()  # starts it again
        assert raw.finished().state == pb.EXEC_STATE_FINISHED
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        *_, dead = raw.wait_for(pb.SANDBOX_FAILED)
        assert dead.sandbox_phase.error_code == "CONTAINER_DIED"


@pytest.mark.parametrize("version", NEWER)
def test_half_a_minute_of_running_resets_the_downtime(version: str) -> None:
    with ready(version) as raw:
        raw.daemon.kill_container("box-1")
        raw.daemon.advance(200)
        raw.start()  # starts it again
        raw.daemon.advance(30)
        raw.daemon.kill_container("box-1")
        raw.daemon.advance(299)
        assert state(raw) == "READY"


@pytest.mark.parametrize("version", NEWER)
def test_short_runs_do_not_reset_the_downtime(version: str) -> None:
    with ready(version) as raw:
        raw.daemon.kill_container("box-1")
        raw.daemon.advance(200)
        raw.start()
        raw.daemon.advance(20)
        raw.daemon.kill_container("box-1")
        raw.daemon.advance(100)
        assert state(raw) == "FAILED"


@pytest.mark.parametrize("version", NEWER)
def test_newer_daemons_tolerate_containers_that_exit_by_themselves(version: str) -> None:
    crashing = ContainerBehavior(exits_after=5)
    with ready(version, idle_ttl=0, containers={"box-1": crashing, "side": crashing}) as raw:
        raw.daemon.advance(3600)
        raw.start()
        ended = raw.finished()
        assert ended.state == pb.EXEC_STATE_FAILED
        assert ended.exit_code == 0
        assert ended.error.startswith("Error response from daemon: Container ")
        assert ended.error.endswith(" is restarting, wait until the container is running")
        assert not raw.daemon.exec_log_root.joinpath("box-1", "exec-1.stdout.log").exists()
        assert state(raw) == "READY"


@pytest.mark.parametrize("version", OLDER)
def test_older_daemons_fail_containers_that_exit_by_themselves(version: str) -> None:
    behaviors = {
        "box-1": ContainerBehavior(exits_after=9),
        "redis:7": ContainerBehavior(exits_after=5),
    }
    with ready(version, containers=behaviors) as raw:
        raw.daemon.advance(5)
        assert [event for event, *_ in after_ready(raw, 1)] == ["SANDBOX_SERVICE_FAILED:READY"]
        raw.daemon.advance(5)
        assert state(raw) == "FAILED"


def test_death_after_a_delete_is_ignored() -> None:
    late = ContainerBehavior(exits_after=60)
    with ready("0.2.1", containers={"box-1": late}) as raw:
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(120)
        assert raw.history()[-1] == "SANDBOX_DELETED:DELETED"


def test_missing_containers_cannot_be_killed_or_removed() -> None:
    with ready("0.4.3") as raw:
        with pytest.raises(LookupError, match="sandbox ghost was not found"):
            raw.daemon.kill_container("ghost")
        with pytest.raises(ValueError, match="sandbox box-1 has no container 'ghost'"):
            raw.daemon.kill_container("box-1", "ghost")
        raw.daemon.kill_container("box-1")
        with pytest.raises(ValueError, match="container agbox-primary-box-1 is not running"):
            raw.daemon.kill_container("box-1")
        raw.daemon.remove_container("box-1")
        with pytest.raises(ValueError, match="sandbox box-1 has no primary container"):
            raw.daemon.remove_container("box-1")


@pytest.mark.parametrize("name", ["starts_after", "healthy_after", "exits_after"])
def test_times_of_a_container_are_checked(name: str) -> None:
    for seconds in (-1.0, math.inf):
        times: dict[str, Any] = {name: seconds}
        with pytest.raises(ValueError, match=f"{name} must be finite and not neg.*{seconds}"):
            ContainerBehavior(**times)


@pytest.mark.parametrize(
    ("behavior", "message"),
    [
        ({"error": None}, "error must be a string, not None"),
        ({"healthy": "no"}, "healthy must be True or False, not 'no'"),
        ({"resumes": 0}, "resumes must be True or False, not 0"),
        ({"starts_after": None}, "starts_after must be a number, not None"),
    ],
)
def test_behavior_of_the_wrong_type(behavior: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ContainerBehavior(**behavior)
