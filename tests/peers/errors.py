"""Steps with calls that must be refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .peer import BOX, IMAGE, UNKNOWN, expect_error, sdk, subscription
from .releases import Release


async def unknown_ids(client: Any, release: Release) -> None:
    """Every call reports unknown ids as not found."""
    by_id = (client.get_sandbox, client.stop_sandbox, client.resume_sandbox, client.delete_sandbox)
    for call in by_id:
        await expect_error(call(UNKNOWN), "SandboxNotFoundError", UNKNOWN, sandbox_id=UNKNOWN)
    run = client.create_exec(UNKNOWN, ("true",))
    await expect_error(run, "SandboxNotFoundError", UNKNOWN, sandbox_id=UNKNOWN)
    async with subscription(client, UNKNOWN) as events:
        await expect_error(anext(events), "SandboxNotFoundError", UNKNOWN, sandbox_id=UNKNOWN)
    for call in (client.get_exec, client.cancel_exec):
        await expect_error(call(UNKNOWN), "ExecNotFoundError", UNKNOWN, exec_id=UNKNOWN)


async def duplicate_ids(client: Any, release: Release) -> None:
    """Ids that already exist are refused."""
    duplicate = client.create_sandbox(sandbox_id=BOX, image=IMAGE)
    await expect_error(duplicate, "SandboxConflictError", BOX, sandbox_id=BOX)
    duplicate = client.create_exec(BOX, ("true",), exec_id="exec-4")
    await expect_error(duplicate, "SandboxConflictError", "")


async def wrong_state_ready(client: Any, release: Release) -> None:
    """A READY sandbox cannot be resumed."""
    resume = client.resume_sandbox(BOX)
    await expect_error(resume, "SandboxInvalidStateError", f"sandbox {BOX} is not stopped")


async def wrong_state_stopped(client: Any, release: Release) -> None:
    """A STOPPED sandbox runs no command and cannot be stopped."""
    run = client.create_exec(BOX, ("true",))
    await expect_error(run, "SandboxNotReadyError", BOX, sandbox_id=BOX)
    stop = client.stop_sandbox(BOX)
    await expect_error(stop, "SandboxInvalidStateError", f"sandbox {BOX} is not ready")


async def invalid_creates(client: Any, release: Release) -> None:
    """Creates with an invalid argument are refused, with the daemon's message."""
    relative = sdk.MountSpec(source="relative", target="/data")
    cases: tuple[tuple[Mapping[str, Any], str], ...] = (
        ({"sandbox_id": "abc"}, "must be at least 4 characters"),
        ({"sandbox_id": "-bad-"}, "start and end with a letter or digit"),
        ({"image": ""}, "create_spec.image is required"),
        ({"mounts": (relative,)}, "mount source must be absolute: relative"),
        ({"builtin_tools": ("x",)}, 'unknown builtin resource "x"'),
        ({"config_yaml": "imagee: x"}, "field imagee not found"),
        *release.refused,
    )
    for arguments, message in cases:
        create = client.create_sandbox(**{"image": IMAGE, **arguments})
        await expect_error(create, "SandboxClientError", message)


async def invalid_arguments(client: Any, release: Release) -> None:
    """An empty command and an empty selector are refused."""
    run = client.create_exec(BOX, ())
    await expect_error(run, "SandboxClientError", "command must not be empty")
    delete = client.delete_sandboxes({})
    await expect_error(delete, "SandboxClientError", "label_selector must not be empty")
