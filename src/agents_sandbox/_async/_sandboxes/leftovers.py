"""Deleting what a killed process has left behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from ..._deadline import Budget
from ..._enums import SandboxState
from ..._shared.shown import shown_id
from ..._surroundings import clock
from ..._telemetry import reports
from ...errors import SandboxClientError, SandboxNotFoundError
from ...models import DeleteSandboxesResult, SandboxHandle
from .._daemon import Daemon
from .._feeds import Feeds
from .._waits import DeleteWait


async def delete_leftovers(
    daemon: Daemon,
    feeds: Feeds,
    label_selector: Mapping[str, str],
    older_than: timedelta,
    budget: Budget,
    *,
    wait: bool,
) -> DeleteSandboxesResult:
    """Delete the sandboxes that have these labels and are older than this.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        label_selector: The labels, not empty.
        older_than: The age.
        budget: How long it may take.
        wait: Whether to wait until each is DELETED for good.
    """
    listed = await daemon.list_sandboxes(False, label_selector, budget.rpc())
    requested: list[tuple[SandboxHandle, object]] = []
    for handle in _older_than(older_than, listed):
        socket_at_request = daemon.socket_identity()
        try:
            await daemon.delete_sandbox(handle.sandbox_id, budget.rpc())
        except SandboxNotFoundError:
            continue  # somebody else has deleted it, and the daemon has purged it
        requested.append((handle, socket_at_request))
    # One after the other: the daemon deletes them in parallel.
    failures: list[SandboxClientError] = []
    for handle, socket_at_request in requested if wait else ():
        try:
            wait_for = DeleteWait(daemon, feeds, handle.sandbox_id, budget)
            await wait_for.follow_delete(handle, socket_at_request)
        except SandboxClientError as error:
            reports.clean_up_failed(f"delete of sandbox {shown_id(handle.sandbox_id)}", error)
            failures.append(error)
    if failures:
        raise failures[0]
    deleted = sorted(handle.sandbox_id for handle, _ in requested)
    return DeleteSandboxesResult(tuple(deleted), len(deleted))


def _older_than(age: timedelta, listed: list[SandboxHandle]) -> list[SandboxHandle]:
    """Return those that are older and that nobody deletes already.

    One whose age is not known counts as new.
    """
    # If the daemon's clock is ahead of ours, what it did last tells how far at least.
    times = [handle.created_at for handle in listed if handle.created_at is not None]
    now = max([datetime.fromtimestamp(clock.real_time(), timezone.utc), *times])
    return [
        handle
        for handle in listed
        if handle.created_at is not None
        and now - handle.created_at > age
        and handle.state is not SandboxState.DELETING
    ]
