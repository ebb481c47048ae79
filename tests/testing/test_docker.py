"""Creates that are accepted, and that Docker then refuses."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import DockerHost, FakeDaemon

from .raw import Raw, connected

pytestmark = pytest.mark.once

READY, FAILED = pb.SANDBOX_STATE_READY, pb.SANDBOX_STATE_FAILED


def outcome(raw: Raw, sandbox_id: str = "box-1", **spec: Any) -> tuple[int, str]:
    """The state that a create ends in, and the error message."""
    raw.create(sandbox_id, **spec)
    raw.daemon.advance(0)
    handle = raw.get(sandbox_id)
    return handle.state, handle.error_message


def error(message: str) -> tuple[int, str]:
    return FAILED, f"Error response from daemon: {message}"


@pytest.mark.parametrize(
    ("options", "image", "expected"),
    [
        ({}, "any/image:1", (READY, "")),
        ({"known_images": ["a:1"]}, "a:1", (READY, "")),
        (
            {"known_images": ["a:1"]},
            "b:1",
            error(
                "pull access denied for b:1, repository does not exist or may require "
                "'docker login'"
            ),
        ),
        (
            {"missing_images": ["agbox.invalid/none:1"]},
            "agbox.invalid/none:1",
            error('Get "https://agbox.invalid/v2/": dial tcp: lookup agbox.invalid: no such host'),
        ),
        (
            {},
            "Bad Image!!",
            error(
                "no such image: Bad Image!!: invalid reference format: "
                "repository name must be lowercase"
            ),
        ),
        ({}, "bad image", error("no such image: bad image: invalid reference format")),
        ({}, "Registry.example/app:Tag", (READY, "")),
    ],
)
def test_images(options: dict[str, Any], image: str, expected: tuple[int, str]) -> None:
    with FakeDaemon(virtual_time=True, **options) as daemon, connected(daemon) as raw:
        assert outcome(raw, image=image) == expected


def test_host_port_is_published_only_once() -> None:
    web = {"container_port": 80, "host_port": 8080}
    udp = {**web, "protocol": 1}
    docker = DockerHost(ports_in_use=[5432])
    with (
        FakeDaemon(version="0.4.3", virtual_time=True, docker=docker) as daemon,
        connected(daemon) as raw,
    ):
        assert outcome(raw, ports=[web]) == (READY, "")
        assert outcome(raw, "box-2", ports=[udp]) == (READY, "")
        state, why = outcome(raw, "box-3", ports=[web])
        assert state == FAILED
        assert why.startswith(
            "Error response from daemon: driver failed programming external connectivity on "
            "endpoint agbox-primary-box-3 ("
        )
        assert why.endswith("): Bind for 127.0.0.1:8080 failed: port is already allocated")
        assert outcome(raw, "box-7", ports=[web])[0] == FAILED, "the first one keeps the port"
        _, why = outcome(raw, "box-4", ports=[{"container_port": 1, "host_port": 5432}])
        assert why.endswith("Bind for 127.0.0.1:5432 failed: port is already allocated")

        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        daemon.advance(0)
        assert outcome(raw, "box-5", ports=[web]) == (READY, "")
        raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
        daemon.advance(0)
        assert raw.get().error_code == "SANDBOX_RESUME_FAILED"
        raw(methods.DELETE_SANDBOX, sandbox_id="box-5")
        daemon.advance(0)
        assert outcome(raw, "box-6", ports=[web]) == (READY, "")


@pytest.mark.parametrize(
    ("docker", "spec", "why"),
    [
        (DockerHost(disk_quota=False), {"disk_limit": "1g"}, "disk_limit not supported"),
        (DockerHost(gpus=False), {"gpus": "all"}, 'could not select device driver "nvidia"'),
        (DockerHost(), {"disk_limit": "1g", "gpus": "all"}, None),
    ],
)
def test_unsupported_docker_features(
    docker: DockerHost, spec: dict[str, Any], why: str | None
) -> None:
    with (
        FakeDaemon(version="0.4.3", virtual_time=True, docker=docker) as daemon,
        connected(daemon) as raw,
    ):
        state, message = outcome(raw, **spec)
        assert state == (READY if why is None else FAILED)
        assert (why or "") in message


def test_companion_with_unsupported_limit_fails_alone() -> None:
    options: dict[str, Any] = {"virtual_time": True, "docker": DockerHost(disk_quota=False)}
    companion = {"name": "db", "image": "redis:7", "disk_limit": "1g"}
    with FakeDaemon(version="0.4.3", **options) as daemon, connected(daemon) as raw:
        assert outcome(raw, companion_containers=[companion]) == (READY, "")
        assert "SANDBOX_SERVICE_FAILED:PENDING" in raw.history()


@pytest.mark.parametrize(("version", "clash"), [("0.2.1", True), ("0.4.2", True), ("0.4.3", False)])
def test_ids_that_differ_only_in_underscores(version: str, clash: bool) -> None:
    with FakeDaemon(version=version, virtual_time=True) as daemon, connected(daemon) as raw:
        assert outcome(raw, "a_b-c") == (READY, "")
        second = outcome(raw, "a-b_c")
        raw.daemon.advance(15)  # newer daemons notice a removed container at their next look
        first = raw.get("a_b-c")
        if not clash:
            assert (second, first.state) == ((READY, ""), READY)
            return
        assert second == error("network with name agbox-net-a-b-c already exists")
        assert first.state == FAILED
        # Both have failed and released the name, so the next create can use it.
        assert outcome(raw, "a-b-c") == (READY, "")


def test_create_that_fails_early_frees_no_network_of_others() -> None:
    with (
        FakeDaemon(version="0.2.1", virtual_time=True, missing_images=["a:1"]) as daemon,
        connected(daemon) as raw,
    ):
        assert outcome(raw, "a_b-c") == (READY, "")
        state, why = outcome(raw, "a-b_c", image="a:1")
        assert (state, "pull access denied" in why) == (FAILED, True)
        clash = error("network with name agbox-net-a-b-c already exists")
        assert outcome(raw, "a-b-c") == clash


@pytest.mark.parametrize("target", ["/", "//", "/t/.."])
def test_mount_on_root_fails(target: str) -> None:
    why = "invalid mount config for type \"bind\": invalid specification: destination can't be '/'"
    with FakeDaemon(virtual_time=True) as daemon, connected(daemon) as raw:
        assert outcome(raw, mounts=[{"source": "/tmp", "target": target}]) == error(why)
        assert raw.get().error_code == "SANDBOX_CREATE_FAILED"


@pytest.mark.parametrize(
    ("docker", "error", "message"),
    [
        ({"api_version": "1.40"}, TypeError, r"api_version must be a pair .*\(1, 44\), not '1.40'"),
        ({"api_version": (1, 44, 0)}, TypeError, r"api_version .* not \(1, 44, 0\)"),
        ({"api_version": (1, "44")}, TypeError, r"api_version .* not \(1, '44'\)"),
        ({"gpus": "no"}, TypeError, "gpus must be True or False, not 'no'"),
        ({"disk_quota": 1}, TypeError, "disk_quota must be True or False, not 1"),
        ({"ports_in_use": "80"}, TypeError, "ports_in_use must be a collection of int, not '80'"),
        ({"ports_in_use": [True]}, TypeError, "each item of ports_in_use must be an integer"),
        ({"ports_in_use": [0]}, ValueError, r"ports_in_use must be in 1\.\.65535, not 0"),
        ({"ports_in_use": [65536]}, ValueError, r"ports_in_use must be in 1\.\.65535, not 65536"),
    ],
)
def test_invalid_docker_host(docker: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DockerHost(**docker)
