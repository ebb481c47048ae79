"""All sandboxes of the daemon, by id."""

from __future__ import annotations

from collections.abc import Iterator

from .._protocol.profile import Profile
from .._protocol.refusals import sandbox_id_already_exists, sandbox_not_found
from .._protocol.spec import Spec
from .._time.clock import Clock
from .ids import IdRegistry
from .sandbox import Sandbox


class Sandboxes:
    """The records of all sandboxes; deleted ones stay until they are purged."""

    def __init__(self, clock: Clock, profile: Profile) -> None:
        self._clock = clock
        self._profile = profile
        self.ids = IdRegistry("sandbox_id", sandbox_id_already_exists)
        self._sandboxes: dict[str, Sandbox] = {}
        self.left_behind: list[Sandbox] = []
        """Purged sandboxes whose containers the daemon had lost track of, so that they exist."""

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(self._sandboxes.values())

    def add(self, requested_id: str, spec: Spec) -> Sandbox:
        """Create the record of a sandbox whose spec was accepted.

        Raises:
            StatusError: The id is invalid or taken.
        """
        sandbox_id = self.ids.check(requested_id)
        self.ids.take(sandbox_id)
        sandbox = self._sandboxes[sandbox_id] = Sandbox(
            sandbox_id, spec, self._clock, self._profile
        )
        return sandbox

    def get(self, sandbox_id: str) -> Sandbox:
        """Look up a sandbox, deleted or not.

        Raises:
            StatusError: There is no such sandbox.
        """
        if sandbox_id not in self._sandboxes:
            raise sandbox_not_found(sandbox_id)
        return self._sandboxes[sandbox_id]

    def listed(self) -> list[Sandbox]:
        """Return all sandboxes in the order of ListSandboxes."""
        if self._profile.lists_newest_first:
            return sorted(self, key=lambda item: item.created_at.ToNanoseconds(), reverse=True)
        return sorted(self, key=lambda item: item.id)

    def purge(self, sandbox: Sandbox) -> None:
        """Drop a record and end the streams that follow it; the id stays taken."""
        del self._sandboxes[sandbox.id]
        if sandbox.has_containers:
            self.left_behind.append(sandbox)
        clean = self._profile.purge_ends_streams_cleanly
        sandbox.log.end_streams(None if clean else sandbox_not_found(sandbox.id))
