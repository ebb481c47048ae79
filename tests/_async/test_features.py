"""What works with which daemon release: each cell of the documentation's table is checked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    CompanionContainerSpec,
    HealthcheckConfig,
    InvalidArgumentError,
    PortMapping,
    SandboxEventType,
    SandboxFailedError,
    SandboxNotFoundError,
    SandboxState,
    ServiceSpec,
    UnsupportedByDaemonError,
)
from agents_sandbox.testing import ContainerBehavior, FakeDaemon
from agents_sandbox.testing._protocol.profile import PROFILES

from .._aio import Background, off_loop
from ..releases import has_companions

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
NAME = "demo-sandbox"
CHECK = HealthcheckConfig(("CMD", "true"))
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "daemon-releases.md"

Row = Callable[[AgentsSandboxClient, FakeDaemon], Any]

ROWS: dict[str, Row] = {}


def row(feature: str) -> Callable[[Row], Row]:
    """Register the function that determines the cells of a feature's row."""

    def declare(find_out: Row) -> Row:
        ROWS[feature] = find_out
        return find_out

    return declare


def table() -> dict[str, dict[str, str]]:
    """The documentation's table: for each feature its cells by release."""
    first_table = DOCS.read_text("utf-8").partition("\n|")[2].partition("\n\n")[0]
    lines = re.findall(r"^\|?(.*)\|$", first_table, re.MULTILINE)
    (_, *releases), _, *rows = ([cell.strip() for cell in line.split("|")] for line in lines)
    return {feature: dict(zip(releases, cells, strict=True)) for feature, *cells in rows}


TABLE = table()
RELEASED = [version for version in PROFILES if version != "dev"]


def documented(feature: str, release: str) -> str:
    """The cell for a release; a release without a column is like the one before it."""
    listed = [name for name in TABLE[feature] if RELEASED.index(name) <= RELEASED.index(release)]
    return TABLE[feature][listed[-1]]


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    """A daemon with virtual time; some of its images make containers that fail."""
    containers = {
        "unhealthy:1": ContainerBehavior(healthy=False),
        "broken:1": ContainerBehavior(error="no such device"),
        "late:1": ContainerBehavior(starts_after=60, healthy_after=0),
        "postgres:16": ContainerBehavior(healthy_after=0),
    }
    with FakeDaemon(
        version=release, virtual_time=True, containers=containers, missing_images=["missing:1"]
    ) as running:
        yield running
        running.wait_for_streams(0)


@pytest.fixture
async def client(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    """A client of the test's daemon."""
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=20) as opened:
        yield opened


@pytest.mark.releases(*RELEASED)
@pytest.mark.parametrize("feature", TABLE)
async def test_the_documented_cell_is_true(
    client: AgentsSandboxClient, daemon: FakeDaemon, release: str, feature: str
) -> None:
    cell = await ROWS[feature](client, daemon)
    assert cell == documented(feature, release)


def test_the_table_has_all_rows() -> None:
    assert list(TABLE) == list(ROWS)


async def accepts(client: AgentsSandboxClient, daemon: FakeDaemon, *choices: dict[str, Any]) -> str:
    """Whether creates with these arguments are accepted; all must have the same outcome."""
    cells = set()
    for arguments in choices:
        before = len(daemon.calls)
        try:
            await client.create_sandbox(image=IMAGE, wait=False, **arguments)
        except UnsupportedByDaemonError:
            assert "CreateSandbox" not in [call.method for call in daemon.calls[before:]]
            cells.add("refused")
        else:
            cells.add("yes")
    (cell,) = cells
    return cell


def on_both(**field: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that set a field of the primary container and of a companion."""
    return field, {"companion_containers": [CompanionContainerSpec("cache", "redis:7", **field)]}


def required(image: str) -> list[ServiceSpec]:
    return [ServiceSpec("db", image, healthcheck=CHECK)]


async def outcome(
    client: AgentsSandboxClient, daemon: FakeDaemon, image: str
) -> SandboxFailedError | None:
    """How a create with a required service ends if it has enough time."""
    method = "SubscribeSandboxEvents"
    before = [call.method for call in daemon.calls].count(method)
    create = Background(client.create_sandbox, image=IMAGE, required_services=required(image))
    # Do not count open streams: this one may close before we look.
    await off_loop(daemon.wait_for_call, method, count=before + 1)
    await off_loop(daemon.advance, 400)
    try:
        await create.result()
    except SandboxFailedError as error:
        return error
    return None


@row("`required_services=`, `optional_services=`")
async def services(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    return await accepts(
        client,
        daemon,
        {"required_services": required("postgres:16")},
        {"optional_services": [ServiceSpec("redis", "redis:7")]},
    )


@row("A required service without a healthcheck")
async def service_without_healthcheck(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    unchecked = ServiceSpec("db", "postgres:16")
    refused = ""
    try:
        await client.create_sandbox(image=IMAGE, required_services=[unchecked])
    except InvalidArgumentError as error:
        refused = str(error)
    assert not refused or "must define healthcheck" in refused
    return "refused" if refused else "yes"


@row("READY waits until required services are")
async def ready(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    late = required("late:1")
    await client.create_sandbox(image=IMAGE, sandbox_id=NAME, required_services=late, wait=False)
    await off_loop(daemon.advance, 59)
    if (await client.get_sandbox(NAME)).state is SandboxState.READY:
        return "-"
    await off_loop(daemon.advance, 1)
    assert (await client.get_sandbox(NAME)).state is SandboxState.READY
    return "healthy" if await outcome(client, daemon, "unhealthy:1") else "started"


@row("`create_sandbox()` waits until required services are")
async def wait_for_services(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    assert await outcome(client, daemon, "late:1") is None
    error = await outcome(client, daemon, "broken:1")
    assert error is not None
    assert "no such device" in str(error)
    return "healthy" if await outcome(client, daemon, "unhealthy:1") else "started"


@row("Handles show both kinds of services as")
async def services_of_handles(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    handle = await client.create_sandbox(
        image=IMAGE,
        required_services=required("postgres:16"),
        optional_services=[ServiceSpec("redis", "redis:7")],
    )
    as_services = [item.name for item in (*handle.required_services, *handle.optional_services)]
    as_companions = [item.name for item in handle.companion_containers]
    shown = {"services": as_services, "companions": as_companions}
    (cell,) = (kind for kind, names in shown.items() if names)
    assert shown[cell] == ["db", "redis"]
    return cell


@row("`companion_containers=`")
async def companions(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    cache = CompanionContainerSpec("cache", "redis:7")
    return await accepts(client, daemon, {"companion_containers": [cache]})


@row("`command=`, also of a companion")
async def command(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    return await accepts(client, daemon, *on_both(command=["sleep", "60"]))


@row("`ports=`")
async def ports(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    return await accepts(client, daemon, {"ports": [PortMapping(8080, 18080)]})


@row("`cpu_limit=`, `memory_limit=`, `disk_limit=`, also of a companion")
async def limits(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    return await accepts(
        client,
        daemon,
        *on_both(cpu_limit="0.5"),
        *on_both(memory_limit="512m"),
        *on_both(disk_limit="10g"),
    )


@row("`gpus=`")
async def gpus(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    return await accepts(client, daemon, {"gpus": "all"})


@row("`error_code`, `error_message`, `state_changed_at` of handles")
async def failures_of_handles(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    with pytest.raises(SandboxFailedError):
        await client.create_sandbox(image="missing:1", sandbox_id=NAME)
    handle = await client.get_sandbox(NAME)
    told = (handle.error_code, handle.error_message, handle.state_changed_at)
    assert (None in told) == (told == (None, None, None))
    return "None" if None in told else "set"


@row("`list_sandboxes()` sorts")
async def order(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    for name in ("list-2", "list-1", "list-3"):
        await client.create_sandbox(image=IMAGE, sandbox_id=name)
        await off_loop(daemon.advance, 1)
    listed = "".join(handle.sandbox_id[-1] for handle in await client.list_sandboxes())
    return {"123": "by id", "312": "newest first"}[listed]


@row("A stop reports a failure event first")
async def stop(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    await client.create_sandbox(image=IMAGE, sandbox_id=NAME)
    last = (await client.stop_sandbox(NAME)).last_event_sequence
    seen: set[SandboxEventType] = set()
    async for event in client.subscribe_sandbox_events(NAME):
        seen.add(event.event_type)
        if event.sequence == last:
            break
    assert SandboxEventType.SANDBOX_STOPPED in seen
    return "yes" if SandboxEventType.SANDBOX_FAILED in seen else "no"


@row("A killed primary container fails the sandbox")
async def dead_primary(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    async def state_after(seconds: float) -> SandboxState:
        await off_loop(daemon.advance, seconds)
        return (await client.get_sandbox(NAME)).state

    await client.create_sandbox(image=IMAGE, sandbox_id=NAME)
    await off_loop(daemon.kill_container, NAME)
    if await state_after(0) is SandboxState.FAILED:
        return "at once"
    assert await state_after(299) is SandboxState.READY
    assert await state_after(60) is SandboxState.FAILED
    return "after 5 min"


@row("Event streams of a purged sandbox")
async def purge(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    async def follow(after: int) -> str:
        try:
            async for event in client.subscribe_sandbox_events(NAME, from_sequence=after):
                pytest.fail(f"unexpected: {event}")
        except SandboxNotFoundError:
            return "fail"
        return "end"

    await client.create_sandbox(image=IMAGE, sandbox_id=NAME)
    deleted = await client.delete_sandbox(NAME)
    await off_loop(daemon.wait_for_streams, 0)
    following = Background(follow, deleted.last_event_sequence)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.purge, NAME)
    cell: str = await following.result()
    return cell


@row("What a list argument does to the list in `config_yaml`")
async def lists(client: AgentsSandboxClient, daemon: FakeDaemon) -> str:
    key = "companion_containers" if has_companions(daemon.version) else "optional_services"
    handle = await client.create_sandbox(
        image=IMAGE,
        config_yaml=f"{key}: {{first: {{image: 'a:1'}}}}",
        optional_services=[ServiceSpec("second", "b:1")],
    )
    names = [item.name for item in handle.optional_services]
    names += [item.name for item in handle.companion_containers]
    return {"second": "replaces it", "first second": "extends it"}[" ".join(names)]
