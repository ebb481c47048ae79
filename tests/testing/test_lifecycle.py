"""The state machine: creates, stops, resumes and deletes, and their events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol import profile
from agents_sandbox.testing._sandboxes import lifecycle

from .raw import IMAGE, Raw, Refusal, connected, name, not_found

pytestmark = pytest.mark.once

STOPPED = ["SANDBOX_STOP_REQUESTED", "SANDBOX_FAILED:FAILED", "SANDBOX_STOPPED:STOPPED"]
CREATED = ["SANDBOX_ACCEPTED:PENDING", "SANDBOX_PREPARING:PENDING", "SANDBOX_READY:READY"]
DELETED = ["SANDBOX_DELETE_REQUESTED:DELETING", "SANDBOX_DELETED:DELETED"]


def invalid_state(sandbox_id: str, expected: str) -> Refusal:
    return Refusal(
        "FAILED_PRECONDITION",
        f"sandbox {sandbox_id} is not {expected}",
        "SANDBOX_INVALID_STATE",
        "agents-sandbox",
        {"sandbox_id": sandbox_id},
    )


def stop(raw: Raw) -> None:
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)


def delete(raw: Raw, sandbox_id: str = "box-1", count: int = 1) -> None:
    raw(methods.DELETE_SANDBOX, sandbox_id=sandbox_id)
    raw.wait_for(pb.SANDBOX_DELETED, sandbox_id, count=count)


def test_ping_reports_the_release(raw: Raw) -> None:
    assert raw(methods.PING) == pb.PingResponse(version="0.2.1", daemon="agboxd")


def test_create_is_accepted_as_pending_and_becomes_ready_later(raw: Raw) -> None:
    handle = raw.create(labels={"team": "core"}, envs={"SECRET": "1"})

    assert handle.state == pb.SANDBOX_STATE_PENDING
    assert handle.last_event_sequence == 1
    assert (handle.image, handle.labels) == (IMAGE, {"team": "core"})
    events = raw.wait_for(pb.SANDBOX_READY)
    assert [name(event) for event in events] == CREATED
    assert [event.event_id for event in events] == ["box-1-1", "box-1-2", "box-1-3"]
    assert [event.WhichOneof("details") for event in events] == [None, "sandbox_phase", None]
    assert events[1].sandbox_phase == pb.SandboxPhaseDetails(phase="materialize")
    ready = raw.get()
    assert ready.state == pb.SANDBOX_STATE_READY
    assert ready.state_changed_at == events[2].occurred_at
    assert handle.created_at == ready.created_at
    assert ready.created_at.ToNanoseconds() < events[0].occurred_at.ToNanoseconds()


def test_stop_resume_delete(raw: Raw) -> None:
    raw.ready()
    stop(raw)
    stopped = raw.get()
    assert stopped.state == pb.SANDBOX_STATE_STOPPED
    assert (stopped.error_code, stopped.error_message) == ("", "")
    raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_READY, count=2)
    delete(raw)

    resumed = ["SANDBOX_ACCEPTED:PENDING", "SANDBOX_READY:READY"]
    assert raw.history() == [*CREATED, *STOPPED, *resumed, *DELETED]
    assert raw.get().state == pb.SANDBOX_STATE_DELETED


def test_stop_passes_through_a_failed_state(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused() as pause:
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        requested = raw.get()
        pause.step()
        dying = raw.get()
        pause.step()

    assert (requested.state, requested.last_event_sequence) == (pb.SANDBOX_STATE_READY, 4)
    assert dying.state == pb.SANDBOX_STATE_FAILED
    assert (dying.error_code, dying.error_message) == ("CONTAINER_DIED", "primary container die")
    events = raw.wait_for(pb.SANDBOX_STOPPED)
    assert events[3].sandbox_phase == pb.SandboxPhaseDetails(reason="stop_requested")
    assert events[5].sandbox_phase == pb.SandboxPhaseDetails(reason="stop_requested")


def test_stop_while_stopping_is_accepted_and_done_twice(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused():
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw.start()
        assert raw.refused(methods.RESUME_SANDBOX, sandbox_id="box-1") == invalid_state(
            "box-1", "stopped"
        )
    raw.wait_for(pb.SANDBOX_STOPPED, count=2)

    history = raw.history()
    assert history.count("SANDBOX_STOP_REQUESTED") == 2
    assert history.count("SANDBOX_FAILED:FAILED") == 1
    assert raw.get().state == pb.SANDBOX_STATE_STOPPED


def test_delete_while_stopping_stops_first(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused():
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)

    assert raw.history()[3:] == [
        "SANDBOX_STOP_REQUESTED",
        "SANDBOX_DELETE_REQUESTED:DELETING",
        "SANDBOX_STOPPED:STOPPED",
        "SANDBOX_DELETED:DELETED",
    ]


def test_delete_ends_a_long_stop_early() -> None:
    with FakeDaemon(stop_delay=3600) as daemon, connected(daemon) as raw:
        raw.ready()
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        delete(raw)
        assert raw.get().state == pb.SANDBOX_STATE_DELETED


def test_delays_are_waited_for() -> None:
    with FakeDaemon(ready_delay=3600) as daemon, connected(daemon) as raw:
        raw.create()
        raw.wait_for(pb.SANDBOX_PREPARING)
        assert raw.get().state == pb.SANDBOX_STATE_PENDING
    with FakeDaemon(ready_delay=0.01, stop_delay=0.01) as daemon, connected(daemon) as raw:
        raw.ready()
        stop(raw)


def test_delete_before_preparing_ends_the_create(raw: Raw) -> None:
    with raw.daemon.paused():
        raw.create()
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)

    assert raw.history() == ["SANDBOX_ACCEPTED:PENDING", *DELETED]


def test_a_delete_at_once_never_sees_preparing(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ten milliseconds on a real daemon: a slow test would be late.
    monkeypatch.setattr(lifecycle, "_BEGINS_AFTER", 3600)
    raw.create()
    delete(raw)
    assert raw.history() == ["SANDBOX_ACCEPTED:PENDING", *DELETED]


def test_a_virtual_clock_waits_for_the_beginning_of_a_create() -> None:
    with FakeDaemon(virtual_time=True) as daemon, connected(daemon) as raw:
        raw.create()
        daemon.advance(0)
        assert raw.history() == CREATED
        raw.ready("box-2")  # without an advance


@pytest.mark.parametrize(
    ("image", "end"), [(IMAGE, "SANDBOX_READY:READY"), ("gone:1", "SANDBOX_FAILED:FAILED")]
)
def test_create_undoes_a_delete_during_its_docker_work(image: str, end: str) -> None:
    with FakeDaemon(missing_images=["gone:1"]) as daemon, connected(daemon) as raw:
        with daemon.paused() as pause:
            raw.create(image=image)
            pause.step()
            raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_READY if image == IMAGE else pb.SANDBOX_FAILED)
        assert raw.history() == [*CREATED[:2], *DELETED, end]
        assert [box.sandbox_id for box in raw(methods.LIST_SANDBOXES).sandboxes] == ["box-1"]

        delete(raw, count=2)
        assert raw.get().state == pb.SANDBOX_STATE_DELETED


def test_a_sandbox_is_deleted_until_the_create_brings_it_back(raw: Raw) -> None:
    with raw.daemon.paused() as pause:
        raw.create()
        pause.step()
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        pause.step(3)  # the create finds the delete; the delete starts; it ends
        assert raw.history() == [*CREATED[:2], *DELETED]
        pause.step()
        assert raw.get().state == pb.SANDBOX_STATE_READY
    delete(raw, count=2)


def test_delete_during_a_resume_ends_the_resume(raw: Raw) -> None:
    raw.ready()
    stop(raw)
    with raw.daemon.paused():
        raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)

    assert raw.history()[6:] == ["SANDBOX_ACCEPTED:PENDING", *DELETED]


def test_repeated_delete_is_accepted_and_changes_nothing(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused():
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        assert raw(methods.DELETE_SANDBOX, sandbox_id="box-1").accepted
    raw.wait_for(pb.SANDBOX_DELETED)
    assert raw(methods.DELETE_SANDBOX, sandbox_id="box-1").accepted

    assert raw.history() == [*CREATED, *DELETED]


def test_wrong_state_for_stop_and_resume(raw: Raw) -> None:
    with raw.daemon.paused():
        raw.create()
        refused = raw.refused(methods.STOP_SANDBOX, sandbox_id="box-1")
        assert refused == invalid_state("box-1", "ready")
        refused = raw.refused(methods.RESUME_SANDBOX, sandbox_id="box-1")
        assert refused == invalid_state("box-1", "stopped")


@pytest.mark.parametrize("sandbox_id", ["ghost-001", ""])
@pytest.mark.parametrize(
    "method",
    [
        methods.GET_SANDBOX,
        methods.STOP_SANDBOX,
        methods.RESUME_SANDBOX,
        methods.DELETE_SANDBOX,
        methods.CREATE_EXEC,
    ],
    ids=lambda method: method.name,
)
def test_unknown_sandbox(raw: Raw, method: methods.Method[Any, Any], sandbox_id: str) -> None:
    assert raw.refused(method, sandbox_id=sandbox_id) == not_found(sandbox_id)


def test_list_is_newest_first_and_hides_the_deleted(raw: Raw) -> None:
    for sandbox_id in ("box-1", "box-2", "box-3"):
        raw.ready(sandbox_id)
    delete(raw, "box-2")

    def listed(**fields: object) -> list[str]:
        return [box.sandbox_id for box in raw(methods.LIST_SANDBOXES, **fields).sandboxes]

    assert listed() == ["box-3", "box-1"]
    assert listed(include_deleted=True) == ["box-3", "box-2", "box-1"]


def test_label_selector_matches_every_label_exactly(raw: Raw) -> None:
    raw.create("box-1", labels={"team": "core", "job": "1"})
    raw.create("box-2", labels={"team": "core", "job": ""})
    raw.create("box-3")

    def listed(**selector: str) -> list[str]:
        answer = raw(methods.LIST_SANDBOXES, label_selector=selector)
        return [box.sandbox_id for box in answer.sandboxes]

    assert listed(team="core") == ["box-2", "box-1"]
    assert listed(team="core", job="1") == ["box-1"]
    assert listed(job="") == ["box-2"]
    assert listed(job="9") == []


def test_delete_sandboxes_by_label(raw: Raw) -> None:
    for sandbox_id, job in (("box-2", "1"), ("box-1", "1"), ("box-3", "2")):
        raw.ready(sandbox_id, labels={"job": job})

    refused = raw.refused(methods.DELETE_SANDBOXES)
    assert refused == Refusal("INVALID_ARGUMENT", "label_selector must not be empty")
    with raw.daemon.paused():
        answer = raw(methods.DELETE_SANDBOXES, label_selector={"job": "1"})
        assert answer == pb.DeleteSandboxesResponse(
            deleted_sandbox_ids=["box-1", "box-2"], deleted_count=2
        )
        assert raw.get("box-1").state == pb.SANDBOX_STATE_DELETING
        again = raw(methods.DELETE_SANDBOXES, label_selector={"job": "1"})
        assert again == pb.DeleteSandboxesResponse()
    events = raw.wait_for(pb.SANDBOX_DELETED, "box-2")
    assert events[-1].sandbox_phase == pb.SandboxPhaseDetails(reason="delete_requested")
    assert raw.get("box-3").state == pb.SANDBOX_STATE_READY


def test_primary_killed_without_the_daemons_doing(raw: Raw) -> None:
    raw.ready()
    raw.daemon.kill_container("box-1")

    handle = raw.get()
    assert handle.state == pb.SANDBOX_STATE_FAILED
    assert (handle.error_code, handle.error_message) == ("CONTAINER_DIED", "primary container die")
    with pytest.raises(ValueError, match="container agbox-primary-box-1 is not running"):
        raw.daemon.kill_container("box-1")
    with pytest.raises(LookupError, match="ghost was not found"):
        raw.daemon.kill_container("ghost")
    delete(raw)
    assert raw.get().error_code == ""


def test_ids_with_one_container_name_clash(raw: Raw) -> None:
    raw.ready("col_1-a")
    raw.create("col-1_a")
    raw.wait_for(pb.SANDBOX_FAILED, "col-1_a")

    second = raw.get("col-1_a")
    assert second.error_code == "SANDBOX_CREATE_FAILED"
    assert second.error_message == (
        "Error response from daemon: network with name agbox-net-col-1-a already exists"
    )
    assert raw.get("col_1-a").error_code == "CONTAINER_DIED"


def test_resume_without_a_container_fails(raw: Raw) -> None:
    raw.ready("box_1")
    raw(methods.STOP_SANDBOX, sandbox_id="box_1")
    raw.wait_for(pb.SANDBOX_STOPPED, "box_1")
    raw.create("box-1")
    raw.wait_for(pb.SANDBOX_FAILED, "box-1")
    assert raw.get("box_1").state == pb.SANDBOX_STATE_STOPPED

    raw(methods.RESUME_SANDBOX, sandbox_id="box_1")
    raw.wait_for(pb.SANDBOX_FAILED, "box_1", count=2)
    handle = raw.get("box_1")
    assert handle.error_code == "SANDBOX_RESUME_FAILED"
    assert handle.error_message.endswith("No such container: agbox-primary-box-1")


def test_purge_removes_everything_but_the_ids(raw: Raw) -> None:
    raw.ready()
    raw.start()
    raw.finished()
    with pytest.raises(ValueError, match="box-1 is not DELETED"):
        raw.daemon.purge("box-1")
    delete(raw)
    assert raw.exec().state == pb.EXEC_STATE_FINISHED
    raw.daemon.purge("box-1")

    assert raw.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")
    assert raw.refused(methods.GET_EXEC, exec_id="exec-1").reason == "EXEC_NOT_FOUND"
    assert not raw(methods.LIST_SANDBOXES, include_deleted=True).sandboxes
    spec = pb.CreateSpec(image=IMAGE)
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec)
    assert refused.reason == "SANDBOX_ID_ALREADY_EXISTS"
    raw.ready("box-2")
    refused = raw.refused(
        methods.CREATE_EXEC, sandbox_id="box-2", command=["true"], exec_id="exec-1"
    )
    assert refused.reason == "EXEC_ID_ALREADY_EXISTS"


def test_version_differences_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    tidy = replace(
        profile.profile_for("0.2.1"),
        version="9.9.9",
        stop_reports_container_death=False,
        names_fold_underscores=False,
    )
    monkeypatch.setattr(profile, "PROFILES", {tidy.version: tidy})
    with FakeDaemon(version="9.9.9") as daemon, connected(daemon) as raw:
        raw.ready("box_1")
        raw.ready("box-1")
        raw.daemon.on_exec(["sleep"]).never()
        raw.start("sleep")
        stop(raw)
        assert raw.history()[4:] == [
            "SANDBOX_STOP_REQUESTED",
            "EXEC_FAILED",
            "SANDBOX_STOPPED:STOPPED",
        ]
        assert raw(methods.PING).version == "9.9.9"
