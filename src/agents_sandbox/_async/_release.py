"""Finding out which release the daemon is of, once for each daemon met."""

from __future__ import annotations

import logging
from dataclasses import replace

from .. import _releases
from .._address import DaemonAddress
from .._aio import TimedLock
from .._deadline import Deadline
from .._releases import NEWEST, OLD_PROBE, OLDEST, PROBES, Release
from .._wire import requests
from .._wire.methods import CREATE_SANDBOX, PING
from ..errors import DaemonError, InvalidArgumentError, OperationTimeoutError, ProtocolError
from ._transport import Transport

_log = logging.getLogger("agents_sandbox")

_KNOWN = "create_spec.image is required"
_UNKNOWN = "field {} not found"


class DaemonRelease:
    """The release of the daemon behind a transport.

    Asked for by the first call that depends on it, and again once the daemon may be another
    one: after its socket was made anew, after a call could not reach it, after an answer
    could not be understood, and after a while without any answer, for behind a forwarded
    socket a daemon may be replaced unseen.

    Args:
        transport: The way to the daemon.
        address: The daemon's socket.
        chosen: The release that the caller says it is of; None to find out.
    """

    def __init__(
        self, transport: Transport, address: DaemonAddress, chosen: Release | None
    ) -> None:
        self._transport = transport
        self._address = address
        self._chosen = chosen
        self._turn = TimedLock()
        self._known: tuple[object, Release] | None = None
        self._warned_of: set[str] = set()

    async def get(self, deadline: Deadline) -> Release:
        """Return the release; calls that ask at once share the answer.

        Raises:
            UnsupportedDaemonError: It is of a release that is not supported.
            ProtocolError: Whoever answers is no daemon.
            DaemonUnavailableError: It was away.
            OperationTimeoutError: It did not answer in time.
        """
        if self._chosen is not None:
            return self._chosen
        release = self._remembered()
        if release is not None:
            return release
        return await self._transport.repeating(lambda: self._ask_in_turn(deadline), deadline)

    # One attempt in a turn: whoever waits for theirs is to find the daemon away themselves.
    async def _ask_in_turn(self, deadline: Deadline) -> Release:
        async with self._turn.held(deadline.remaining()) as entered:
            if not entered:
                raise _too_slow(deadline)
            # Whom the last answer came from may be gone by now.
            while (release := self._remembered()) is None:
                identity = self._identity()
                self._known = identity, await self._ask(deadline)
            return release

    def _remembered(self) -> Release | None:
        known = self._known
        if known is None or known[0] != self._identity() or not self._transport.in_touch:
            return None
        return known[1]

    def _identity(self) -> object:
        return self._transport.losses, self._address.socket_identity()

    async def _ask(self, deadline: Deadline) -> Release:
        version = await self._ping(deadline)
        base = _releases.base_release(version)
        if base is not None:
            _releases.check_supported(base, version)
            if base > NEWEST and version not in self._warned_of:
                self._warned_of.add(version)
                _log.warning(
                    "daemon %s is newer than this SDK, which treats it as %s: upgrade the SDK",
                    version,
                    NEWEST,
                )
        return _releases.parse_release(version) or await self._probe(version, deadline)

    async def _ping(self, deadline: Deadline) -> str:
        try:
            answer = await self._transport.once(PING, requests.ping(), deadline)
        except DaemonError as error:
            if error.code != "UNIMPLEMENTED":
                raise
            raise ProtocolError(
                "the peer knows no Ping: it is no agents-sandbox daemon", code=error.code
            ) from error
        if answer.daemon != "agboxd":
            raise ProtocolError(
                f"the peer calls itself {answer.daemon!r}: it is no agents-sandbox daemon"
            )
        return answer.version

    async def _probe(self, version: str, deadline: Deadline) -> Release:
        found = OLDEST
        for config_yaml, release in PROBES:
            if not await self._knows(config_yaml, deadline):
                break
            found = release
        # Not to know a newer key proves no old dialect: a coming one may drop it.
        if found is OLDEST and not await self._knows(OLD_PROBE, deadline):
            raise _releases.unsupported(version)
        return replace(found, reported=version)

    async def _knows(self, config_yaml: str, deadline: Deadline) -> bool:
        try:
            await self._transport.once(CREATE_SANDBOX, requests.probe(config_yaml), deadline)
        except InvalidArgumentError as error:
            if _KNOWN in str(error):
                return True
            if _UNKNOWN.format(config_yaml.partition(":")[0]) in str(error):
                return False
            raise ProtocolError(f"the daemon's release cannot be told: {error}") from error
        raise ProtocolError("the peer accepted a create without an image: it is no daemon")


def _too_slow(deadline: Deadline) -> OperationTimeoutError:
    error = OperationTimeoutError(
        f"the daemon did not tell its release within {deadline.bound} s: raise timeout_seconds"
    )
    error.timeout_seconds = deadline.bound
    return error
