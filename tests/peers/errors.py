"""Steps that must be refused."""

from __future__ import annotations

from typing import Any

from .peer import BOX, IMAGE, UNKNOWN, expect_error, sdk, subscription
from .releases import Release


async def unknown_ids(client: Any, release: Release) -> None:
    """Unknown ids are not found, by every call."""
    for call in (
        client.get_sandbox(UNKNOWN),
        client.stop_sandbox(UNKNOWN),
        client.resume_sandbox(UNKNOWN),
        client.delete_sandbox(UNKNOWN),
        client.create_exec(UNKNOWN, ("true",)),
    ):
        await expect_error(call, "SandboxNotFoundError", UNKNOWN, sandbox_id=UNKNOWN)
    async with subscription(client, UNKNOWN) as events:
        await expect_error(anext(events), "SandboxNotFoundError", UNKNOWN, sandbox_id=UNKNOWN)
    for call in (client.get_exec(UNKNOWN), client.cancel_exec(UNKNOWN)):
        await expect_error(call, "ExecNotFoundError", UNKNOWN, exec_id=UNKNOWN)


async def duplicate_ids(client: Any, release: Release) -> None:
    """Ids that are taken are refused."""
    duplicate = client.create_sandbox(sandbox_id=BOX, image=IMAGE)
    await expect_error(duplicate, "SandboxConflictError", BOX, sandbox_id=BOX)
    duplicate = client.create_exec(BOX, ("true",), exec_id="exec-4")
    await expect_error(duplicate, "SandboxConflictError", "")


async def wrong_state_ready(client: Any, release: Release) -> None:
    """What runs cannot be resumed."""
    resume = client.resume_sandbox(BOX)
    await expect_error(resume, "SandboxInvalidStateError", f"sandbox {BOX} is not stopped")


async def wrong_state_stopped(client: Any, release: Release) -> None:
    """What is stopped runs no command and cannot be stopped."""
    run = client.create_exec(BOX, ("true",))
    await expect_error(run, "SandboxNotReadyError", BOX, sandbox_id=BOX)
    stop = client.stop_sandbox(BOX)
    await expect_error(stop, "SandboxInvalidStateError", f"sandbox {BOX} is not ready")


async def invalid_arguments(client: Any, release: Release) -> None:
    """Invalid arguments are refused, with the daemon's message."""
    relative = sdk.MountSpec(source="relative", target="/data")
    unnamed = (release.side_container(""),)
    for call, message in (
        (client.create_sandbox(image=IMAGE, sandbox_id="abc"), "must be at least 4 characters"),
        (client.create_sandbox(image=IMAGE, sandbox_id="-bad-"), "start and end with a letter or"),
        (client.create_sandbox(image=""), "create_spec.image is required"),
        (client.create_sandbox(image=IMAGE, mounts=(relative,)), "mount source must be absolute"),
        (client.create_sandbox(image=IMAGE, builtin_tools=("x",)), 'unknown builtin resource "x"'),
        (client.create_sandbox(image=IMAGE, **{release.side_yaml: unnamed}), "name is required"),
        (client.create_sandbox(config_yaml="imagee: x"), "field imagee not found"),
        (client.create_exec(BOX, ()), "command must not be empty"),
        (client.delete_sandboxes({}), "label_selector must not be empty"),
    ):
        await expect_error(call, "SandboxClientError", message)
