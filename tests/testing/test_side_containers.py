"""Services and companions: their start, health and hooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, DockerHost, ExecContext, FakeDaemon
from agents_sandbox.testing._sandboxes.side_containers import (
    first_probe,
    format_duration,
    health_wait,
)

from .raw import Raw, connected, name

pytestmark = pytest.mark.once

FAST = {
    "test": ["CMD", "true"],
    "interval": Duration(nanos=300_000_000),
    "timeout": Duration(nanos=300_000_000),
    "retries": 2,
}
"""A health check that passes after 0.3 s, or fails after 0.9 s."""
HEALTHY = 0.3
COMPANIONS = ["0.3.0", "0.4.3"]


@contextmanager
def virtual(version: str = "0.2.1", **containers: ContainerBehavior) -> Iterator[Raw]:
    options: dict[str, Any] = {"virtual_time": True, "containers": containers}
    with FakeDaemon(version=version, **options) as daemon, connected(daemon) as raw:
        yield raw


def service(service_name: str = "db", **fields: Any) -> dict[str, Any]:
    return {"name": service_name, "image": "redis:7", "healthcheck": FAST, **fields}


def failure(raw: Raw) -> tuple[str, str]:
    handle = raw.get()
    assert handle.state == pb.SANDBOX_STATE_FAILED
    return handle.error_code, handle.error_message


def test_a_required_service_that_never_becomes_healthy_fails_the_create() -> None:
    with virtual(db=ContainerBehavior(healthy=False)) as raw:
        raw.create(required_services=[service("first"), service()])
        raw.daemon.advance(HEALTHY + 0.8)
        assert raw.get().state == pb.SANDBOX_STATE_PENDING
        raw.daemon.advance(0.1)
        code, message = failure(raw)
        assert code == "SANDBOX_CREATE_FAILED"
        assert message.startswith(
            "service agbox-svc-box-1-db did not become healthy within 900ms "
            "(status=unhealthy failing_streak=2 last_log=2"
        )
        assert raw.history()[2:] == ["SANDBOX_FAILED:FAILED"]


def test_a_required_service_is_healthy_after_one_interval() -> None:
    # Recorded with daemon 0.2.1: ready 3.7 s after the create, the hook just before.
    check = {**FAST, "interval": Duration(seconds=3)}
    with virtual() as raw:
        ran = hooks_of(raw)
        raw.create(required_services=[service(healthcheck=check, post_start_on_primary=["seed"])])
        raw.daemon.advance(2.9)
        assert (raw.get().state, ran) == (pb.SANDBOX_STATE_PENDING, [])
        raw.daemon.advance(0.1)
        assert (raw.get().state, ran) == (pb.SANDBOX_STATE_READY, ["seed"])


def test_the_hook_of_a_companion_runs_one_interval_after_its_start() -> None:
    # Recorded with daemon 0.4.3: ready after 0.6 s, the hook 3.6 s after the create.
    check = {**FAST, "interval": Duration(seconds=3)}
    with virtual("0.4.3") as raw:
        ran = hooks_of(raw)
        companion = service(healthcheck=check, post_start_on_primary=["seed"])
        raw.create(companion_containers=[companion])
        raw.daemon.advance(2.9)
        assert (raw.get().state, ran) == (pb.SANDBOX_STATE_READY, [])
        raw.daemon.advance(0.1)
        assert ran == ["seed"]


def hooks_of(raw: Raw) -> list[str]:
    """Return a list that grows with each hook that runs."""
    ran: list[str] = []

    async def hook(context: ExecContext) -> None:
        ran.append(context.argv[-1])

    raw.daemon.on_exec(lambda argv: argv[:2] == ("sh", "-lc")).call(hook)
    return ran


def test_a_required_service_without_an_interval_takes_half_a_minute() -> None:
    with virtual() as raw:
        raw.create(required_services=[service(healthcheck={"test": ["CMD", "true"]})])
        raw.daemon.advance(29)
        assert raw.get().state == pb.SANDBOX_STATE_PENDING
        raw.daemon.advance(1)
        assert raw.get().state == pb.SANDBOX_STATE_READY


@pytest.mark.parametrize(("healthy_after", "state"), [(0.85, "READY"), (1.0, "FAILED")])
def test_a_slow_required_service_is_waited_for(healthy_after: float, state: str) -> None:
    with virtual(db=ContainerBehavior(healthy_after=healthy_after)) as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(0.8)
        assert raw.get().state == pb.SANDBOX_STATE_PENDING
        raw.daemon.advance(0.1)
        assert raw.get().state == pb.SandboxState.Value(f"SANDBOX_STATE_{state}")


def test_required_services_start_one_after_the_other() -> None:
    slow = ContainerBehavior(starts_after=2, healthy_after=0.5)
    with virtual(a=slow, b=slow) as raw:
        raw.create(required_services=[service("b"), service("a")])
        raw.daemon.advance(4.9)
        assert raw.history() == ["SANDBOX_ACCEPTED:PENDING", "SANDBOX_PREPARING:PENDING"]
        raw.daemon.advance(0.1)
        assert raw.history()[2:] == [*["SANDBOX_SERVICE_READY:PENDING"] * 2, "SANDBOX_READY:READY"]


@pytest.mark.parametrize("exits_after", [0, 0.5])
@pytest.mark.parametrize("healthy", [True, False])
def test_a_required_service_that_exits_fails_the_create(exits_after: float, healthy: bool) -> None:
    crashing = ContainerBehavior(exits_after=exits_after, healthy=healthy, healthy_after=0.6)
    with virtual(db=crashing) as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(0.5)
        assert failure(raw) == (
            "SANDBOX_CREATE_FAILED",
            "container agbox-svc-box-1-db is not running while waiting for health",
        )


def test_the_wait_for_health_ends_before_a_late_exit() -> None:
    late = ContainerBehavior(exits_after=500, healthy_after=1000)
    with virtual(db=late) as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(1)
        assert failure(raw)[0] == "SANDBOX_CREATE_FAILED"


def test_a_required_service_that_exits_later_is_reported() -> None:
    with virtual(db=ContainerBehavior(exits_after=5)) as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(5)
        assert raw.history()[4:] == ["SANDBOX_SERVICE_FAILED:READY"]
        assert raw.get().state == pb.SANDBOX_STATE_READY


def test_a_required_service_that_cannot_be_created_fails_the_create() -> None:
    why = "Error response from daemon: No command specified"
    with virtual(db=ContainerBehavior(error=why)) as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(0)
        assert failure(raw) == ("SANDBOX_CREATE_FAILED", why)


NO_COMMAND = "Error response from daemon: No command specified"


def test_a_service_of_an_image_without_a_command_cannot_be_created() -> None:
    options: dict[str, Any] = {"virtual_time": True, "images_without_command": ["redis:7"]}
    with FakeDaemon(version="0.2.1", **options) as daemon, connected(daemon) as raw:
        raw.create(required_services=[service()])
        daemon.advance(0)
        assert failure(raw) == ("SANDBOX_CREATE_FAILED", NO_COMMAND)
        raw.ready("box-2", image="redis:7", optional_services=[service()])
        *_, failed, _ = raw.wait_for(pb.SANDBOX_READY, "box-2")
        assert failed.service.error_message == NO_COMMAND
    with FakeDaemon(version="0.4.3", **options) as daemon, connected(daemon) as raw:
        companions = [service("bare"), service("busy", command=["redis-server"])]
        raw.ready(companion_containers=companions)
        failed, started = raw.wait_for(pb.SANDBOX_READY)[2:4]
    assert (name(failed), failed.service) == (
        "SANDBOX_SERVICE_FAILED:PENDING",
        pb.ServiceEventDetails(
            service_name="bare", error_code="COMPANION_CONTAINER_FAILED", error_message=NO_COMMAND
        ),
    )
    assert (name(started), started.service.service_name) == (
        "SANDBOX_SERVICE_READY:PENDING",
        "busy",
    )


def test_a_required_service_that_does_not_start_again_fails_the_resume() -> None:
    with virtual(db=ContainerBehavior(resumes=False)) as raw:
        raw.create(required_services=[service("cache"), service()])
        raw.daemon.advance(2 * HEALTHY)
        for method in (methods.STOP_SANDBOX, methods.RESUME_SANDBOX):
            raw(method, sandbox_id="box-1")
            raw.daemon.advance(2 * HEALTHY)
        assert failure(raw) == (
            "SANDBOX_RESUME_FAILED",
            "container agbox-svc-box-1-db is not running while waiting for health",
        )
        assert raw.history()[-2:] == ["SANDBOX_ACCEPTED:PENDING", "SANDBOX_FAILED:FAILED"]


def test_health_is_waited_for_again_on_resume() -> None:
    with virtual(db=ContainerBehavior(healthy_after=0.5)) as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(0.5)
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(0)
        raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(0.4)
        assert raw.get().state == pb.SANDBOX_STATE_PENDING
        raw.daemon.advance(0.1)
        assert raw.history()[-2:] == ["SANDBOX_SERVICE_READY:PENDING", "SANDBOX_READY:READY"]


def beside(version: str, *items: dict[str, Any]) -> dict[str, Any]:
    """Pass the items as optional services or as companions."""
    field = "optional_services" if version.startswith("0.2.") else "companion_containers"
    return {field: items}


@pytest.mark.parametrize("version", ["0.2.1", *COMPANIONS])
def test_the_create_does_not_wait_for_optional_services_and_companions(version: str) -> None:
    containers = {
        "sick": ContainerBehavior(healthy=False),
        "late": ContainerBehavior(starts_after=3),
        "broken": ContainerBehavior(error="Error response from daemon: no"),
    }
    with virtual(version, **containers) as raw:
        raw.create(**beside(version, service("sick"), service("late"), service("broken")))
        raw.daemon.advance(3600)
        events = raw.wait_for(pb.SANDBOX_SERVICE_READY, count=2)[2:]
    kind = "SERVICE" if version.startswith("0.2.") else "COMPANION_CONTAINER"
    assert [(name(event), event.service.service_name) for event in events] == [
        ("SANDBOX_SERVICE_READY:PENDING", "sick"),
        ("SANDBOX_SERVICE_FAILED:PENDING", "broken"),
        ("SANDBOX_READY:READY", ""),
        ("SANDBOX_SERVICE_READY:READY", "late"),
    ]
    assert events[1].service.error_message == "Error response from daemon: no"
    assert events[1].service.error_code == (
        "SANDBOX_SERVICE_FAILED" if kind == "SERVICE" else "COMPANION_CONTAINER_FAILED"
    )


@pytest.mark.parametrize("version", ["0.2.1", *COMPANIONS])
def test_a_resume_waits_for_optional_services_and_companions(version: str) -> None:
    with virtual(version, late=ContainerBehavior(starts_after=3)) as raw:
        raw.create(**beside(version, service("late"), service("soon")))
        raw.daemon.advance(3)
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(0)
        raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(2)
        assert raw.get().state == pb.SANDBOX_STATE_PENDING
        raw.daemon.advance(1)
        assert raw.history()[-3:] == [*["SANDBOX_SERVICE_READY:PENDING"] * 2, "SANDBOX_READY:READY"]


def test_a_service_that_starts_after_a_delete_is_reported_as_pending() -> None:
    with virtual(late=ContainerBehavior(starts_after=3)) as raw:
        raw.create(optional_services=[service("late")])
        raw.daemon.advance(1)
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(2)
        deleted = ["SANDBOX_DELETE_REQUESTED:DELETING", "SANDBOX_DELETED:DELETED"]
        assert raw.history()[3:] == [*deleted, "SANDBOX_SERVICE_READY:PENDING"]
        assert raw.get().state == pb.SANDBOX_STATE_DELETED
    with virtual() as raw:
        raw.create(required_services=[service()])
        raw.daemon.advance(0)
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        raw.daemon.advance(HEALTHY)
        assert raw.history()[2:] == [
            *deleted,
            "SANDBOX_SERVICE_READY:PENDING",
            "SANDBOX_READY:READY",
        ]


def test_hooks_of_required_services_run_before_ready() -> None:
    with virtual() as raw:
        raw.create(required_services=[service(post_start_on_primary=["one", "two"])])
        raw.daemon.advance(HEALTHY)
        assert raw.history()[-1] == "SANDBOX_READY:READY"
    with virtual() as raw:
        raw.daemon.on_exec(("sh", "-lc", "two")).exit(9)
        raw.create(required_services=[service(post_start_on_primary=["one", "two"])])
        raw.daemon.advance(HEALTHY)
        assert failure(raw) == ("SANDBOX_CREATE_FAILED", "docker exec failed: exit code 9")
        assert raw.history()[2:] == ["SANDBOX_FAILED:FAILED"]


def test_a_hook_that_cannot_start_fails_the_create() -> None:
    with virtual() as raw:
        raw.daemon.on_exec(("sh", "-lc", "seed")).fail("Error response from daemon: no sh")
        raw.create(required_services=[service(post_start_on_primary=["seed"])])
        raw.daemon.advance(HEALTHY)
        assert failure(raw) == ("SANDBOX_CREATE_FAILED", "Error response from daemon: no sh")


def test_a_hook_that_has_no_exit_code_fails_the_create() -> None:
    def hook(_: object) -> int:
        raise LookupError("no table")

    with pytest.raises(LookupError, match="no table"), virtual() as raw:
        raw.daemon.on_exec(("sh", "-lc", "seed")).call(hook)
        raw.create(required_services=[service(post_start_on_primary=["seed"])])
        raw.daemon.advance(HEALTHY)
        raw.wait_for(pb.SANDBOX_FAILED)
        code, message = failure(raw)
        assert code == "SANDBOX_CREATE_FAILED"
        assert "raised LookupError: no table" in message


@pytest.mark.parametrize("version", ["0.2.1", *COMPANIONS])
def test_other_hooks_run_when_healthy_and_their_failure_is_not_reported(version: str) -> None:
    ran: list[tuple[str, str]] = []

    async def hook(context: ExecContext) -> int:
        ran.append((context.argv[-1], context.env["SVC"]))
        return 1 if context.argv[-1] == "two" else 0

    with virtual(version, db=ContainerBehavior(healthy_after=0.5)) as raw:
        raw.daemon.on_exec(lambda argv: argv[:2] == ("sh", "-lc")).call(hook)
        hooks = ["one", "two", "three"]
        raw.create(**beside(version, service(envs={"SVC": "1"}, post_start_on_primary=hooks)))
        raw.daemon.advance(0.4)
        assert (raw.get().state, ran) == (pb.SANDBOX_STATE_READY, [])
        raw.daemon.advance(0.1)
        # The failure of the second one is not reported.
        assert ran == [("one", "1"), ("two", "1")]
        assert raw.get().last_event_sequence == 4
        for method in (methods.STOP_SANDBOX, methods.RESUME_SANDBOX):
            raw(method, sandbox_id="box-1")
            raw.daemon.advance(1)
        assert len(ran) == 2, "no hook runs on a resume"


def test_hooks_of_required_services_run_again_on_resume_without_their_envs() -> None:
    seen: list[bool] = []

    async def hook(context: ExecContext) -> None:
        seen.append("SVC" in context.env)

    with virtual() as raw:
        raw.daemon.on_exec(("sh", "-lc", "seed")).call(hook)
        raw.create(required_services=[service(envs={"SVC": "1"}, post_start_on_primary=["seed"])])
        raw.daemon.advance(HEALTHY)
        for method in (methods.STOP_SANDBOX, methods.RESUME_SANDBOX):
            raw(method, sandbox_id="box-1")
            raw.daemon.advance(HEALTHY)
        assert seen == [True, False]


@pytest.mark.parametrize(
    ("docker", "started"),
    [
        (DockerHost(api_version=(1, 43)), False),
        (DockerHost(api_version=(1, 44)), True),
    ],
)
def test_start_interval_needs_a_recent_docker(docker: DockerHost, started: bool) -> None:
    why = (
        '"specify health-check start interval" requires API version 1.44, '
        "but the Docker daemon API version is 1.43"
    )
    check = {**FAST, "start_interval": Duration(seconds=1)}
    options: dict[str, Any] = {"virtual_time": True, "docker": docker}
    with FakeDaemon(version="0.2.1", **options) as daemon, connected(daemon) as raw:
        raw.create(required_services=[service(healthcheck=check)])
        daemon.advance(HEALTHY)
        if started:
            assert raw.get().state == pb.SANDBOX_STATE_READY
        else:
            assert failure(raw) == ("SANDBOX_CREATE_FAILED", why)


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        ({}, 120.0),
        (FAST, 0.9),
        ({**FAST, "timeout": Duration(seconds=2)}, 6.0),
        ({**FAST, "start_period": Duration(seconds=2)}, 2 + 5 + 0.9),
        (
            {
                **FAST,
                "start_period": Duration(seconds=2),
                "start_interval": Duration(nanos=100_000_000),
            },
            2 + 0.3 + 0.9,
        ),
        ({"interval": Duration(seconds=100)}, 300.0),
    ],
)
def test_health_wait(check: dict[str, Any], seconds: float) -> None:
    assert health_wait(pb.HealthcheckConfig(**check)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        ({}, 30, 30),
        (FAST, 0.3, 0.3),
        ({**FAST, "start_interval": Duration(seconds=1)}, 0.3, 0.3),
        ({**FAST, "start_period": Duration(seconds=2)}, 0.3, 5),
        (
            {
                **FAST,
                "start_period": Duration(seconds=60),
                "start_interval": Duration(nanos=100_000_000),
            },
            0.3,
            0.1,
        ),
    ],
)
def test_the_first_probe_depends_on_the_release_of_docker(
    check: dict[str, Any], old: float, new: float
) -> None:
    for api_version, seconds in (((1, 43), old), ((1, 44), new)):
        docker = DockerHost(api_version=api_version)
        assert first_probe(pb.HealthcheckConfig(**check), docker) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "900ms"), (1, "1s"), (7.9, "7.9s"), (120, "2m0s"), (299.25, "4m59.25s")],
)
def test_durations_are_written_in_go_format(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
