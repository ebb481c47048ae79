"""Steps that create, read and end sandboxes."""

from __future__ import annotations

import importlib.metadata
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from . import MISSING_IMAGE
from .peer import (
    BOX,
    IMAGE,
    LABELS,
    events_until,
    expect,
    expect_error,
    history_until,
    names,
    sdk,
    subscription,
)
from .releases import Release

YAML = """
image: example.test/from-yaml:1
labels: {{team: core, made-by: yaml}}
{side}: {{base: {{image: "example.test/base:1"}}}}
"""


async def client_is_the_published_one(client: Any, release: Release) -> None:
    """The client is the published one, from its own environment."""
    expect("release", importlib.metadata.version("agents-sandbox-sdk"), release.version)
    if Path(sys.prefix) not in Path(sdk.__file__).parents:
        raise AssertionError(f"another package has the same name: {sdk.__file__}")


async def ping(client: Any, release: Release) -> None:
    """Ping names the daemon and its version."""
    answer = await client.ping()
    expect("ping", (answer.daemon, answer.version), ("agboxd", release.version))


async def create(client: Any, release: Release) -> None:
    """Create with every kind of argument and wait until READY."""
    before = datetime.now(timezone.utc)
    box = await client.create_sandbox(
        sandbox_id=BOX,
        image=IMAGE,
        labels=LABELS,
        envs={"GREETING": "hello", "NAME": "nobody"},
        idle_ttl=timedelta(minutes=30),
        **release.extras,
    )
    expect("state", box.state.name, "READY")
    expect("id and image", (box.sandbox_id, box.image), (BOX, IMAGE))
    expect("labels", dict(box.labels), LABELS)
    for argument in release.echoed:
        expect(argument, getattr(box, argument), release.extras[argument])
    expect("error", (box.error_code, box.error_message), (None, None))
    if not before <= box.created_at <= box.state_changed_at <= datetime.now(timezone.utc):
        raise AssertionError(f"the times are out of order: {box!r}")


async def create_generates_an_id(client: Any, release: Release) -> None:
    """Create without an id and without waiting: a new id, PENDING."""
    box = await client.create_sandbox(image=IMAGE, labels={"batch": "one"}, wait=False)
    expect("state and sequence", (box.state.name, box.last_event_sequence), ("PENDING", 1))
    expect("length of the id", len(box.sandbox_id), 36)
    await history_until(client, box.sandbox_id, "SANDBOX_READY")
    expect("state", (await client.get_sandbox(box.sandbox_id)).state.name, "READY")


async def create_from_yaml(client: Any, release: Release) -> None:
    """Create from config_yaml; arguments override it as in this release."""
    extra = {release.side_yaml: (release.side_container("override"),)}
    box = await client.create_sandbox(
        config_yaml=YAML.format(side=release.side_yaml),
        labels={"batch": "one", "team": "x"},
        **extra,
    )
    expect("image", box.image, "example.test/from-yaml:1")
    expect("labels", dict(box.labels), {"team": "x", "made-by": "yaml", "batch": "one"})
    sides = [side.name for side in getattr(box, release.side_yaml)]
    expect("lists", sides, [*(["base"] if release.yaml_lists_append else []), "override"])


async def create_that_fails(client: Any, release: Release) -> None:
    """Create with an image that cannot be pulled: an error, then FAILED with the reason."""
    await expect_error(
        client.create_sandbox(sandbox_id="peer-failed", image=MISSING_IMAGE),
        "SandboxClientError",
        "FAILED",
    )
    box = await client.get_sandbox("peer-failed")
    expect("state", (box.state.name, box.error_code), ("FAILED", "SANDBOX_CREATE_FAILED"))
    expect("message", box.error_message.partition(":")[0], "Error response from daemon")
    expect("deleted", (await client.delete_sandbox("peer-failed")).state.name, "DELETED")


async def get(client: Any, release: Release) -> None:
    """Get returns what create returned."""
    box = await client.get_sandbox(BOX)
    expect("id and state", (box.sandbox_id, box.state.name), (BOX, "READY"))
    expect("labels", dict(box.labels), LABELS)
    for argument in release.echoed:
        expect(argument, getattr(box, argument), release.extras[argument])


async def list_by_label(client: Any, release: Release) -> None:
    """List is newest first; all labels of a selector must match exactly."""
    boxes = await client.list_sandboxes()
    times = [box.created_at for box in boxes]
    expect("order", times, sorted(times, reverse=True))
    expect("oldest", boxes[-1].sandbox_id, BOX)
    for selector, wanted in (
        ({"team": "core"}, [BOX]),
        ({"team": "core", "empty": ""}, [BOX]),
        ({"team": "core", "absent": ""}, []),
        ({"team": ""}, []),
    ):
        found = await client.list_sandboxes(label_selector=selector)
        expect(f"those with {selector}", [box.sandbox_id for box in found], wanted)


async def stop(client: Any, release: Release) -> None:
    """Stop: the events of this release, then STOPPED without an error."""
    head = (await client.get_sandbox(BOX)).last_event_sequence
    # If a stop passes through FAILED, the published client may take that for its end.
    await client.stop_sandbox(BOX, wait="SANDBOX_FAILED" not in release.stop_events)
    async with subscription(client, BOX, from_sequence=head) as events:
        seen = await events_until(events, lambda seen: names(seen)[-1] == "SANDBOX_STOPPED")
    expect("events", tuple(names(seen)), release.stop_events)
    expect("reason", seen[-1].sandbox_phase.reason, "stop_requested")
    box = await client.get_sandbox(BOX)
    expect("state", (box.state.name, box.error_code), ("STOPPED", None))


async def resume(client: Any, release: Release) -> None:
    """Resume: READY again, with all side containers."""
    head = (await client.get_sandbox(BOX)).last_event_sequence
    box = await client.resume_sandbox(BOX)
    expect("state", (box.state.name, box.error_code), ("READY", None))
    async with subscription(client, BOX, from_sequence=head) as events:
        seen = await events_until(events, lambda seen: names(seen)[-1] == "SANDBOX_READY")
    sides = [release.side_ready] * len(release.side_containers())
    expect("events", names(seen), ["SANDBOX_ACCEPTED", *sides, "SANDBOX_READY"])


async def delete(client: Any, release: Release) -> None:
    """Delete twice: DELETED, and only the first delete leaves events."""
    box = await client.delete_sandbox(BOX)
    expect("state", box.state.name, "DELETED")
    again = await client.delete_sandbox(BOX)
    expect("sequence", again.last_event_sequence, box.last_event_sequence)
    last = (await history_until(client, BOX, "SANDBOX_DELETED"))[-1]
    expect("reason", last.sandbox_phase.reason, "delete_requested")


async def deleted_is_kept(client: Any, release: Release) -> None:
    """A deleted sandbox is listed on request, and its id cannot be used again."""
    alive = await client.list_sandboxes(label_selector={"team": "core"})
    expect("alive", alive, [])
    kept = await client.list_sandboxes(label_selector={"team": "core"}, include_deleted=True)
    expect("kept", [(box.sandbox_id, box.state.name) for box in kept], [(BOX, "DELETED")])
    taken = client.create_sandbox(sandbox_id=BOX, image=IMAGE)
    await expect_error(taken, "SandboxConflictError", BOX, sandbox_id=BOX)


async def delete_by_label(client: Any, release: Release) -> None:
    """Delete by label: all matching sandboxes, in the order of their ids, and only once."""
    matching = await client.list_sandboxes(label_selector={"batch": "one"})
    wanted = tuple(sorted(box.sandbox_id for box in matching))
    expect("how many match", len(wanted), 2)
    result = await client.delete_sandboxes({"batch": "one"})
    expect("deleted", (result.deleted_sandbox_ids, result.deleted_count), (wanted, 2))
    for sandbox_id in wanted:
        expect("state", (await client.get_sandbox(sandbox_id)).state.name, "DELETED")
    again = await client.delete_sandboxes({"batch": "one"})
    expect("deleted again", (again.deleted_sandbox_ids, again.deleted_count), ((), 0))
    expect("left", await client.list_sandboxes(), [])
