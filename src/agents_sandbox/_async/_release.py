"""Detects the daemon's release, once for each daemon behind the socket."""

from __future__ import annotations

from .._aio import TimedLock
from .._deadline import Deadline
from .._shared.shown import shown
from .._telemetry import reports
from .._wire import releases, requests
from .._wire.methods import CREATE_SANDBOX, PING
from .._wire.releases import NEWEST, OLD_PROBE, OLDEST, PROBES, Release
from ..errors import DaemonError, InvalidArgumentError, OperationTimeoutError, ProtocolError
from ._transport import Transport

_KNOWN = "create_spec.image is required"
_UNKNOWN = "field {} not found"


class DaemonRelease:
    """The release of the daemon behind a transport.

    The first call that depends on it asks the daemon. Later calls ask again when the daemon may
    have been replaced: when the socket file is new, when a call did not reach the daemon or its
    answer was not understood, and after some seconds without an answer, because a forwarded socket
    hides that the daemon was replaced.

    Args:
        transport: The connection to the daemon.
        chosen: The release that the caller gave; None to ask the daemon.
    """

    def __init__(self, transport: Transport, chosen: Release | None) -> None:
        self._transport = transport
        self._chosen = chosen
        self._turn = TimedLock()
        self._known: tuple[object, Release] | None = None
        self._warned_of: set[str] = set()

    async def get(self, deadline: Deadline) -> Release:
        """Return the release; concurrent calls share one answer. It does not retry.

        Args:
            deadline: When to give up.

        Raises:
            UnsupportedDaemonError: The release is not supported.
            ProtocolError: The peer is not a daemon.
            DaemonUnavailableError: The daemon is unavailable.
            OperationTimeoutError: It did not answer in time.
        """
        if self._chosen is not None:
            return self._chosen
        release = self._remembered()
        if release is not None:
            return release
        return await self._ask_in_turn(deadline)

    @property
    def known(self) -> Release | None:
        """The release as far as it is known; the daemon may have been replaced since."""
        return self._chosen or (self._known and self._known[1])

    # One attempt per turn, because each waiting call has its own deadline and its own retries.
    async def _ask_in_turn(self, deadline: Deadline) -> Release:
        async with self._turn.held(deadline.remaining()) as entered:
            if not entered:
                raise _too_slow(deadline)
            # The daemon may have been replaced since the last answer.
            while (release := self._remembered()) is None:
                identity, before = self._transport.peer_identity(), self.known
                self._known = identity, await self._ask(deadline)
                if before not in (None, self.known):
                    reports.release_changed(before, self.known)
            return release

    def _remembered(self) -> Release | None:
        known = self._known
        if known is None or not self._transport.in_touch:
            return None
        identity, release = known
        return release if identity == self._transport.peer_identity() else None

    async def _ask(self, deadline: Deadline) -> Release:
        version = await self._ping(deadline)
        base = releases.base_release(version)
        if base is not None:
            releases.check_supported(base, version)
            if base > NEWEST and version not in self._warned_of:
                self._warned_of.add(version)
                reports.newer_daemon(version, NEWEST)
        return releases.parse_release(version) or await self._probe(version, deadline)

    async def _ping(self, deadline: Deadline) -> str:
        try:
            answer = await self._transport.unary(PING, requests.ping(), deadline)
        except DaemonError as error:
            if error.code != "UNIMPLEMENTED":
                raise
            raise ProtocolError(
                "the peer does not know ping: it is not an agents-sandbox daemon", code=error.code
            ) from error
        if answer.daemon != "agboxd":
            raise ProtocolError(
                f"the peer calls itself {shown(answer.daemon)}: it is not an agents-sandbox daemon"
            )
        return answer.version

    async def _probe(self, version: str, deadline: Deadline) -> Release:
        found = OLDEST
        for config_yaml, release in PROBES:
            if not await self._knows(config_yaml, deadline):
                break
            found = release
        # A daemon that does not know the newer keys is not always an old one: a future release may
        # have dropped them.
        if found is OLDEST and not await self._knows(OLD_PROBE, deadline):
            raise releases.unsupported(version)
        return found._replace(reported=version)

    async def _knows(self, config_yaml: str, deadline: Deadline) -> bool:
        try:
            await self._transport.unary(CREATE_SANDBOX, requests.probe(config_yaml), deadline)
        except InvalidArgumentError as error:
            if _KNOWN in str(error):
                return True
            if _UNKNOWN.format(config_yaml.partition(":")[0]) in str(error):
                return False
            raise ProtocolError(f"the daemon's release cannot be detected: {error}") from error
        raise ProtocolError("the peer accepted a create without an image: it is not a daemon")


def _too_slow(deadline: Deadline) -> OperationTimeoutError:
    return OperationTimeoutError(
        f"the daemon did not report its release within {deadline.bound} s: "
        "increase timeout_seconds",
        timeout_seconds=deadline.bound,
    )
