"""Creating, reading, stopping, resuming and deleting sandboxes."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    CopySpec,
    DaemonError,
    HealthcheckConfig,
    InvalidArgumentError,
    MountSpec,
    OperationTimeoutError,
    SandboxConflictError,
    SandboxEventType,
    SandboxFailedError,
    SandboxHandle,
    SandboxInvalidStateError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxState,
    ServiceSpec,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import (
    any_release,
    each_dialect,
    every_release,
    has_companions,
    stop_shows_failure,
    tells_failures,
)

pytestmark = every_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
CHECK = HealthcheckConfig(test=("CMD", "true"), interval=1, retries=2)


def methods(daemon: FakeDaemon) -> list[str]:
    """The names of the recorded RPCs."""
    return [call.method for call in daemon.calls]


async def test_ping_returns_the_version_and_name(client: AgentsSandboxClient, release: str) -> None:
    result = await client.ping()
    assert (result.version, result.daemon) == (release, "agboxd")


async def test_create_waits_for_ready(
    client: AgentsSandboxClient, daemon: FakeDaemon, release: str
) -> None:
    handle = await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
    assert handle.state is SandboxState.READY
    assert handle.sandbox_id == "demo-sandbox"
    assert handle.image == IMAGE
    assert handle.last_event_sequence == 3
    assert (handle.error_code, handle.error_message) == (None, None)
    assert handle.created_at is not None
    assert abs(datetime.now(timezone.utc) - handle.created_at) < timedelta(minutes=1)
    if tells_failures(release):
        assert handle.state_changed_at is not None
        assert handle.state_changed_at >= handle.created_at
    else:
        assert handle.state_changed_at is None
    assert methods(daemon) == ["Ping", "CreateSandbox", "SubscribeSandboxEvents", "GetSandbox"]


async def test_create_without_wait_returns_a_snapshot(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        handle = await client.create_sandbox(image=IMAGE, wait=False)
    assert handle.state is SandboxState.PENDING
    assert methods(daemon) == ["Ping", "CreateSandbox", "GetSandbox"]


@each_dialect
async def test_create_makes_an_id_when_none_is_given(client: AgentsSandboxClient) -> None:
    first = await client.create_sandbox(image=IMAGE)
    second = await client.create_sandbox(image=IMAGE)
    assert uuid.UUID(first.sandbox_id).version == uuid.UUID(second.sandbox_id).version == 4
    assert first.sandbox_id != second.sandbox_id


async def test_create_sends_every_documented_argument(
    client: AgentsSandboxClient, daemon: FakeDaemon, release: str, tmp_path: Path
) -> None:
    database = ServiceSpec("db", "postgres:16", {"A": "1"}, CHECK, ["psql -c 'select 1'"])
    cache = ServiceSpec("redis", "redis:7")
    handle = await client.create_sandbox(
        image=IMAGE,
        sandbox_id="full-sandbox",
        mounts=[MountSpec(tmp_path, "/mnt/data", writable=True)],
        copies=[CopySpec(tmp_path, "/opt", exclude_patterns=["*.log"])],
        builtin_tools=["git", "uv"],
        required_services=[database],
        optional_services=[cache],
        labels={"team": "core"},
        envs={"B": "2"},
        idle_ttl="1m30s",
    )
    request = daemon.calls[1].message
    spec = request.create_spec
    assert request.sandbox_id == "full-sandbox"
    assert spec.image == IMAGE
    assert (spec.mounts[0].source, spec.mounts[0].target) == (str(tmp_path), "/mnt/data")
    assert spec.mounts[0].writable
    assert (spec.copies[0].source, spec.copies[0].target) == (str(tmp_path), "/opt")
    assert spec.copies[0].exclude_patterns == ["*.log"]
    assert spec.builtin_tools == ["git", "uv"]
    if has_companions(release):
        required, optional = spec.companion_containers
    else:
        (required,), (optional,) = spec.required_services, spec.optional_services
    assert required.post_start_on_primary == ["psql -c 'select 1'"]
    assert required.healthcheck.interval.seconds == 1
    assert optional.name == "redis"
    assert spec.labels == {"team": "core"}
    assert spec.envs == {"B": "2"}
    assert spec.idle_ttl.seconds == 90
    if has_companions(release):
        assert [item.name for item in handle.companion_containers] == ["db", "redis"]
        assert (handle.required_services, handle.optional_services) == ((), ())
    else:
        assert (handle.required_services, handle.optional_services) == ((database,), (cache,))
        assert handle.companion_containers == ()
    assert handle.labels == {"team": "core"}


@pytest.mark.parametrize("as_bytes", [False, True])
async def test_create_takes_declarative_yaml(client: AgentsSandboxClient, as_bytes: bool) -> None:
    yaml = "image: from-yaml:1\nlabels: {team: core, tier: 'ü'}\n"
    handle = await client.create_sandbox(
        config_yaml=yaml.encode() if as_bytes else yaml, labels={"team": "web"}
    )
    assert handle.image == "from-yaml:1"
    assert handle.labels == {"team": "web", "tier": "ü"}


@each_dialect
async def test_create_refuses_bad_yaml(client: AgentsSandboxClient) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid config_yaml") as caught:
        await client.create_sandbox(image=IMAGE, config_yaml="imagee: x", sandbox_id="bad-yaml")
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.sandbox_id == "bad-yaml"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"image": ""},
        {"image": 1},
        {"image": IMAGE, "sandbox_id": "a b"},
        {"image": IMAGE, "mounts": ["/src:/dst"]},
        {"image": IMAGE, "required_services": "db"},
        {"image": IMAGE, "labels": {"a": 1}},
        {"image": IMAGE, "builtin_tools": "git"},
        {"image": IMAGE, "idle_ttl": "soon"},
        {"image": IMAGE, "idle_ttl": -1},
        {"image": IMAGE, "timeout_seconds": 0},
    ],
)
@any_release
async def test_create_refuses_bad_arguments_before_any_rpc(
    client: AgentsSandboxClient, daemon: FakeDaemon, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError):
        await client.create_sandbox(**arguments)
    assert daemon.calls == ()


@each_dialect
async def test_a_wait_may_outlast_the_timeout_of_one_rpc(release: str) -> None:
    with FakeDaemon(version=release, ready_delay=0.6) as slow:
        async with AgentsSandboxClient(slow.socket_path, timeout_seconds=0.5) as client:
            handle = await client.create_sandbox(image=IMAGE)
    assert handle.state is SandboxState.READY


@each_dialect
async def test_a_wait_ends_at_the_operation_timeout(daemon: FakeDaemon) -> None:
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=0.5) as client:
        with daemon.paused(), pytest.raises(OperationTimeoutError, match="PENDING") as caught:
            await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.sandbox_id == "demo-sandbox"
    assert caught.value.timeout_seconds == 0.5
    assert isinstance(caught.value.last_handle, SandboxHandle)
    assert caught.value.last_handle.state is SandboxState.PENDING


@each_dialect
async def test_an_explicit_timeout_bounds_the_whole_call(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused(), pytest.raises(OperationTimeoutError) as caught:
        await client.create_sandbox(image=IMAGE, timeout_seconds=0.2)
    assert caught.value.timeout_seconds == 0.2
    await client.create_sandbox(image=IMAGE, timeout_seconds=9)
    remaining = daemon.calls[-3].time_remaining
    assert remaining is not None
    assert 5 < remaining < 10


@each_dialect
async def test_one_rpc_is_bounded_by_timeout_seconds(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.list_sandboxes()
    await client.list_sandboxes(timeout_seconds=30)
    _, default, explicit = (call.time_remaining for call in daemon.calls)
    assert default is not None
    assert explicit is not None
    assert default < 6 < explicit < 31


async def test_a_failed_create_says_why(release: str) -> None:
    with FakeDaemon(version=release, missing_images=["agbox.invalid/none:1"]) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(SandboxFailedError, match="SANDBOX_CREATE_FAILED") as caught:
                await client.create_sandbox(image="agbox.invalid/none:1", sandbox_id="demo-1")
            # It ends although the error keeps the frames of the wait alive.
            await off_loop(daemon.wait_for_streams, 0)
            handle = await client.get_sandbox("demo-1")
    assert caught.value.sandbox_id == "demo-1"
    assert caught.value.error_code == "SANDBOX_CREATE_FAILED"
    assert str(caught.value.error_message).startswith("Error response from daemon")
    told = (caught.value.error_code, caught.value.error_message)
    assert (handle.error_code, handle.error_message) == (
        told if tells_failures(release) else (None, None)
    )


@each_dialect
async def test_a_create_whose_copy_fails_says_why(
    client: AgentsSandboxClient, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    copies = [CopySpec(tmp_path, "/opt", exclude_patterns=["link"]), CopySpec(tmp_path, "/nope")]
    with pytest.raises(SandboxFailedError) as caught:
        await client.create_sandbox(image=IMAGE, copies=copies)
    assert caught.value.error_message == (
        f"build tar for {tmp_path}: copy source contains external symlink: {tmp_path}/link"
    )
    (tmp_path / "link").unlink()
    with pytest.raises(SandboxFailedError) as caught:
        await client.create_sandbox(image=IMAGE, sandbox_id="demo-1", copies=copies)
    assert caught.value.error_message == (
        "copy to container agbox-primary-demo-1 at /nope: Error response from daemon: "
        "Could not find the file /nope in container agbox-primary-demo-1"
    )
    await client.create_sandbox(image=IMAGE, copies=copies[:1])


@each_dialect
async def test_a_create_whose_id_is_taken_conflicts(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    with pytest.raises(SandboxConflictError) as caught:
        await client.create_sandbox(image=IMAGE, sandbox_id=sandbox.sandbox_id)
    assert caught.value.sandbox_id == sandbox.sandbox_id
    assert caught.value.reason == "SANDBOX_ID_ALREADY_EXISTS"
    assert caught.value.code == "ALREADY_EXISTS"


async def test_a_create_ends_if_its_sandbox_is_deleted(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-1")
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents")
        await client.delete_sandbox("demo-1", wait=False)
        with pytest.raises(SandboxNotReadyError, match="DELETING"):
            await create.result()


async def test_get_reads_deleted_sandboxes_too(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    await client.delete_sandbox(sandbox.sandbox_id)
    assert (await client.get_sandbox(sandbox.sandbox_id)).state is SandboxState.DELETED


@each_dialect
@pytest.mark.parametrize(
    "method", ["get_sandbox", "stop_sandbox", "resume_sandbox", "delete_sandbox"]
)
async def test_an_unknown_sandbox_is_not_found(client: AgentsSandboxClient, method: str) -> None:
    with pytest.raises(SandboxNotFoundError) as caught:
        await getattr(client, method)("ghost-001")
    assert caught.value.sandbox_id == "ghost-001"
    assert caught.value.metadata == {"sandbox_id": "ghost-001"}


@any_release
@pytest.mark.parametrize(
    "method", ["get_sandbox", "stop_sandbox", "resume_sandbox", "delete_sandbox"]
)
async def test_an_empty_id_is_refused_before_any_rpc(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="sandbox_id must not be empty"):
        await getattr(client, method)("")
    assert daemon.calls == ()


async def test_list_is_in_the_daemon_s_order_and_selects(
    client: AgentsSandboxClient, release: str
) -> None:
    for name, team in (("list-1", "core"), ("list-2", "web"), ("list-3", "core")):
        await client.create_sandbox(image=IMAGE, sandbox_id=name, labels={"team": team})
    await client.delete_sandbox("list-3")

    async def listed(**arguments: Any) -> list[str]:
        return [h.sandbox_id for h in await client.list_sandboxes(**arguments)]

    by_id = release == "0.2.0"
    assert await listed() == (["list-1", "list-2"] if by_id else ["list-2", "list-1"])
    assert sorted(await listed(include_deleted=True)) == ["list-1", "list-2", "list-3"]
    assert await listed(label_selector={"team": "core"}) == ["list-1"]
    assert await listed(label_selector={"team": ""}) == []


async def test_stop_and_resume(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    stopped = await client.stop_sandbox(sandbox.sandbox_id)
    assert stopped.state is SandboxState.STOPPED
    resumed = await client.resume_sandbox(sandbox.sandbox_id)
    assert resumed.state is SandboxState.READY
    assert resumed.last_event_sequence > stopped.last_event_sequence


async def test_stop_survives_the_transient_failure_of_older_daemons(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, release: str
) -> None:
    with daemon.paused() as pause:
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        if stop_shows_failure(release):
            await off_loop(pause.step)
            assert (await client.get_sandbox(sandbox.sandbox_id)).state is SandboxState.FAILED
        # This makes the wait read the sandbox as well.
        looks = sum(call.method == "GetSandbox" for call in daemon.calls)
        await off_loop(daemon.faults.end_streams)
        await off_loop(daemon.wait_for_call, "GetSandbox", count=looks + 1)
    handle = await stop.result()
    assert handle.state is SandboxState.STOPPED
    assert (handle.error_code, handle.error_message) == (None, None)
    seen = []
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        async for event in events:
            seen.append(event.event_type)
            if event.event_type is SandboxEventType.SANDBOX_STOPPED:
                break
    failed = [SandboxEventType.SANDBOX_FAILED] if stop_shows_failure(release) else []
    assert seen[3:] == [
        SandboxEventType.SANDBOX_STOP_REQUESTED,
        *failed,
        SandboxEventType.SANDBOX_STOPPED,
    ]


async def test_slow_operations_without_wait_return_a_snapshot(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    name = sandbox.sandbox_id
    with daemon.paused():
        assert (await client.stop_sandbox(name, wait=False)).state is SandboxState.READY
    await off_loop(daemon.wait_for_streams, 0)
    assert methods(daemon)[-2:] == ["StopSandbox", "GetSandbox"]
    with daemon.paused():
        assert (await client.delete_sandbox(name, wait=False)).state is SandboxState.DELETING
    assert methods(daemon)[-2:] == ["DeleteSandbox", "GetSandbox"]


async def test_resume_without_wait_is_pending(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.stop_sandbox(sandbox.sandbox_id)
    with daemon.paused():
        handle = await client.resume_sandbox(sandbox.sandbox_id, wait=False)
    assert handle.state is SandboxState.PENDING
    assert methods(daemon)[-2:] == ["ResumeSandbox", "GetSandbox"]


@each_dialect
@pytest.mark.parametrize("method", ["stop_sandbox", "resume_sandbox"])
async def test_an_operation_in_the_wrong_state_is_refused(
    client: AgentsSandboxClient, sandbox: SandboxHandle, method: str
) -> None:
    if method == "stop_sandbox":
        await client.stop_sandbox(sandbox.sandbox_id)
    with pytest.raises(SandboxInvalidStateError) as caught:
        await getattr(client, method)(sandbox.sandbox_id)
    assert caught.value.reason == "SANDBOX_INVALID_STATE"
    assert caught.value.sandbox_id == sandbox.sandbox_id


async def test_delete_waits_until_deleted_and_may_be_repeated(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    first = await client.delete_sandbox(sandbox.sandbox_id)
    assert first.state is SandboxState.DELETED
    assert await client.delete_sandbox(sandbox.sandbox_id) == first


async def purge(daemon: FakeDaemon, *methods: str) -> None:
    """Make the next calls find no sandbox, as after a purge."""
    for method in methods:
        await off_loop(
            daemon.faults.fail_next, method, code="NOT_FOUND", reason="SANDBOX_NOT_FOUND"
        )


async def test_a_sandbox_purged_before_its_delete_is_confirmed_counts_as_deleted(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        delete = Background(client.delete_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        await purge(daemon, "GetSandbox")
    handle = await delete.result()
    assert (handle.sandbox_id, handle.state) == (sandbox.sandbox_id, SandboxState.DELETED)
    assert handle.image == sandbox.image


@each_dialect
@pytest.mark.usefixtures("pauses")
async def test_a_sandbox_purged_while_its_stream_is_down_counts_as_deleted(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        delete = Background(client.delete_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        await purge(daemon, "SubscribeSandboxEvents", "GetSandbox")
        await off_loop(daemon.faults.drop_streams)
        handle = await delete.result()
    assert (handle.sandbox_id, handle.state) == (sandbox.sandbox_id, SandboxState.DELETED)


@each_dialect
async def test_a_sandbox_purged_before_its_delete_is_requested_counts_as_deleted(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await purge(daemon, "DeleteSandbox")
    handle = await client.delete_sandbox(sandbox.sandbox_id)
    assert (handle.sandbox_id, handle.state) == (sandbox.sandbox_id, SandboxState.DELETED)
    assert handle.image == sandbox.image


@each_dialect
async def test_a_sandbox_purged_before_the_first_snapshot_is_not_found(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await purge(daemon, "GetSandbox")
    with pytest.raises(SandboxNotFoundError):
        await client.delete_sandbox(sandbox.sandbox_id)


@each_dialect
@pytest.mark.usefixtures("pauses")
async def test_a_sandbox_purged_during_another_wait_is_not_found(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        await purge(daemon, "SubscribeSandboxEvents", "GetSandbox")
        await off_loop(daemon.faults.drop_streams)
        with pytest.raises(SandboxNotFoundError) as caught:
            await stop.result()
    assert caught.value.sandbox_id == sandbox.sandbox_id


@each_dialect
async def test_a_purged_sandbox_is_not_found(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.delete_sandbox(sandbox.sandbox_id)
    await off_loop(daemon.purge, sandbox.sandbox_id)
    with pytest.raises(SandboxNotFoundError):
        await client.delete_sandbox(sandbox.sandbox_id)


async def test_delete_by_labels_waits_for_each(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    for name, team in (("labels-1", "core"), ("labels-2", "web"), ("labels-3", "core")):
        await client.create_sandbox(image=IMAGE, sandbox_id=name, labels={"team": team})
    result = await client.delete_sandboxes({"team": "core"})
    assert result.deleted_sandbox_ids == ("labels-1", "labels-3")
    assert result.deleted_count == 2
    handles = await client.list_sandboxes(include_deleted=True)
    assert {h.sandbox_id: h.state.name for h in handles} == {
        "labels-1": "DELETED",
        "labels-2": "READY",
        "labels-3": "DELETED",
    }
    assert (await client.delete_sandboxes({"team": "core"})).deleted_count == 0


@each_dialect
async def test_delete_by_labels_waits_for_the_others_when_one_fails(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    for name in ("labels-1", "labels-2"):
        await client.create_sandbox(image=IMAGE, sandbox_id=name, labels={"team": "core"})
    daemon.faults.fail_next("GetSandbox", code="INTERNAL", message="storage is broken")
    with pytest.raises(DaemonError, match="storage is broken") as caught:
        await client.delete_sandboxes({"team": "core"})
    assert caught.value.sandbox_id == "labels-1"
    assert (await client.get_sandbox("labels-2")).state is SandboxState.DELETED


@each_dialect
async def test_delete_by_labels_counts_a_purged_one_as_deleted(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.create_sandbox(image=IMAGE, labels={"team": "core"})
    await purge(daemon, "GetSandbox")
    assert (await client.delete_sandboxes({"team": "core"})).deleted_count == 1


@each_dialect
async def test_delete_by_labels_without_wait_sends_one_rpc(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.create_sandbox(image=IMAGE, labels={"team": "core"})
    await client.delete_sandboxes({"team": "core"}, wait=False)
    assert methods(daemon)[4:] == ["DeleteSandboxes"]


@any_release
async def test_delete_by_no_labels_is_refused_before_any_rpc(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with pytest.raises(InvalidArgumentError, match="label_selector must not be empty"):
        await client.delete_sandboxes({})
    assert daemon.calls == ()
