"""What a test can read of Docker: the containers and the networks of its daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import PortMapping
from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import (
    ContainerBehavior,
    ContainerRecord,
    FakeDaemon,
    NetworkRecord,
)
from agents_sandbox.testing._commands.copy_plan import PlannedCopy
from agents_sandbox.testing._sandboxes import materialize

from ..releases import NEWEST, each_dialect
from .raw import IMAGE, Raw, connected

pytestmark = pytest.mark.once

# Recorded with daemon 0.2.1.
ENDLESS_SLEEP = ("sh", "-lc", "trap 'exit 0' TERM INT; while sleep 3600; do :; done")
LABEL = "io.github.1996fanrui.agents-sandbox"


def states(daemon: FakeDaemon) -> dict[str, str]:
    return {item.name: item.state for item in daemon.containers}


@each_dialect
def test_plain_sandbox(raw: Raw) -> None:
    assert (raw.daemon.containers, raw.daemon.networks) == ((), ())
    raw.ready(labels={"team": "core"})
    (primary,) = raw.daemon.containers
    assert primary == ContainerRecord(
        "agbox-primary-box-1",
        "box-1",
        IMAGE,
        "running",
        ENDLESS_SLEEP,
        restarts=raw.daemon.version == NEWEST,
        labels={
            f"{LABEL}.component": "primary",
            f"{LABEL}.profile": "default",
            f"{LABEL}.sandbox-id": "box-1",
            f"{LABEL}.user.team": "core",
        },
    )
    assert raw.daemon.networks == (NetworkRecord("agbox-net-box-1", "box-1"),)


@pytest.mark.releases(NEWEST)
def test_what_a_create_asks_of_docker(raw: Raw) -> None:
    companion = {"name": "db", "image": "db:1", "command": ["serve"], "memory_limit": "64m"}
    raw.ready(
        command=["work"],
        ports=[{"container_port": 53, "host_port": 5353, "protocol": 1}],
        cpu_limit="0.5",
        memory_limit="256m",
        disk_limit="1g",
        companion_containers=[companion, {"name": "cache", "image": "cache:1"}],
    )
    primary, db, cache = raw.daemon.containers
    assert (primary.command, primary.ports) == (("work",), (PortMapping(53, 5353, "udp"),))
    assert (primary.cpu_limit, primary.memory_limit) == (0.5, 256 * 1024**2)
    assert primary.disk_limit == 1024**3
    assert db == ContainerRecord(
        "agbox-cc-box-1-db",
        "box-1",
        "db:1",
        "running",
        ("serve",),
        memory_limit=64 * 1024**2,
        restarts=True,
    )
    assert (cache.name, cache.command) == ("agbox-cc-box-1-cache", None)


@pytest.mark.releases("0.2.1")
def test_names_of_the_older_dialect(raw: Raw) -> None:
    raw.ready("box_1", optional_services=[{"name": "db", "image": "db:1"}])
    assert [item.name for item in raw.daemon.containers] == [
        "agbox-primary-box-1",
        "agbox-svc-box-1-db",
    ]
    assert raw.daemon.networks == (NetworkRecord("agbox-net-box-1", "box_1"),)


@each_dialect
def test_states(raw: Raw) -> None:
    raw.ready()
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    assert states(raw.daemon) == {"agbox-primary-box-1": "exited"}
    assert [item.name for item in raw.daemon.networks] == ["agbox-net-box-1"]
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert (raw.daemon.containers, raw.daemon.networks) == ((), ())


def virtual(version: str, **options: Any) -> FakeDaemon:
    return FakeDaemon(version=version, virtual_time=True, **options)


def test_killed_and_removed_containers() -> None:
    with virtual("0.4.3") as daemon, connected(daemon) as raw:
        raw.create(companion_containers=[{"name": "db", "image": "db:1"}])
        daemon.advance(1)
        daemon.kill_container("box-1")
        assert states(daemon) == {"agbox-primary-box-1": "exited", "agbox-cc-box-1-db": "running"}
        daemon.remove_container("box-1")
        assert states(daemon) == {"agbox-cc-box-1-db": "running"}


def test_container_that_docker_keeps_restarting() -> None:
    behavior = {"box-1": ContainerBehavior(exits_after=0.0)}
    with virtual("0.4.3", containers=behavior) as daemon, connected(daemon) as raw:
        raw.create()
        daemon.advance(1)
        assert states(daemon) == {"agbox-primary-box-1": "restarting"}


@pytest.mark.releases(NEWEST)
def test_copies_go_to_a_container_that_is_not_started(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[dict[str, str]] = []

    def look(*_: object) -> list[PlannedCopy]:
        seen.append(states(raw.daemon))
        return []

    monkeypatch.setattr(materialize, "plan_copies", look)
    raw.ready(copies=[{"source": str(tmp_path), "target": "/workspace"}])
    assert seen == [{"agbox-primary-box-1": "created"}]


def test_failed_create_leaves_nothing() -> None:
    with FakeDaemon(missing_images=["typo:1"]) as daemon, connected(daemon) as raw:
        raw.create(image="typo:1")
        raw.wait_for(pb.SANDBOX_FAILED)
        assert (daemon.containers, daemon.networks) == ((), ())


@pytest.mark.parametrize(("version", "kept"), [("0.2.1", True), ("0.4.3", False)])
def test_older_daemons_leave_containers_of_failed_sandboxes(version: str, kept: bool) -> None:
    with virtual(version) as daemon, connected(daemon) as raw:
        raw.create()
        daemon.advance(1)
        daemon.kill()
        daemon.kill_container("box-1")
        daemon.start()
        with connected(daemon) as again:
            again(methods.DELETE_SANDBOX, sandbox_id="box-1")
            daemon.advance(1)
        names = [item.name for item in daemon.containers]
        assert names == ["agbox-primary-box-1"] * kept
        daemon.purge("box-1")
        assert [item.name for item in daemon.containers] == names
        assert len(daemon.networks) == len(names)
        daemon.reset()
        assert (daemon.containers, daemon.networks) == ((), ())


def test_records_can_be_read_after_a_stop() -> None:
    with FakeDaemon() as daemon, connected(daemon) as raw:
        raw.ready()
    assert states(daemon) == {"agbox-primary-box-1": "running"}
    assert [item.name for item in daemon.networks] == ["agbox-net-box-1"]
