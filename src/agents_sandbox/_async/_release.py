"""Finding out which release the daemon is of, once for each daemon met."""

from __future__ import annotations

import logging

from .. import _releases
from .._address import DaemonAddress
from .._aio import Lock, acquire
from .._deadline import Deadline
from .._releases import NEWEST, OLDEST, PROBES, Release
from .._wire import requests
from .._wire.methods import CREATE_SANDBOX, PING
from ..errors import InvalidArgumentError, OperationTimeoutError, ProtocolError
from ._transport import Transport

_log = logging.getLogger("agents_sandbox")

_KNOWN = "create_spec.image is required"
_UNKNOWN = "not found"


class DaemonRelease:
    """The release of the daemon behind a transport.

    Asked for by the first call that depends on it, and again once the daemon may be another
    one: after its socket was made anew, or after a call could not reach it.

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
        self._turn = Lock()
        self._known: tuple[object, Release] | None = None

    async def get(self, deadline: Deadline) -> Release:
        """Return the release; calls that ask at once share the answer.

        Raises:
            UnsupportedDaemonError: It is of a release that is not supported.
            ProtocolError: Whoever answers is no daemon.
        """
        if self._chosen is not None:
            return self._chosen
        release = self._remembered()
        if release is not None:
            return release
        if not await acquire(self._turn, deadline.remaining()):
            raise OperationTimeoutError("the daemon did not tell its release in time")
        try:
            release = self._remembered()
            if release is None:
                identity = self._identity()
                release = await self._ask(deadline)
                self._known = identity, release
            return release
        finally:
            self._turn.release()

    def _remembered(self) -> Release | None:
        if self._known is None or self._known[0] != self._identity():
            return None
        return self._known[1]

    def _identity(self) -> object:
        return self._transport.losses, self._address.socket_identity()

    async def _ask(self, deadline: Deadline) -> Release:
        answer = await self._transport.unary(PING, requests.ping(), deadline)
        if answer.daemon != "agboxd":
            raise ProtocolError(
                f"the peer calls itself {answer.daemon!r}: it is no agents-sandbox daemon"
            )
        release = _releases.parse_release(answer.version)
        if release is None:
            return await self._probe(deadline)
        _releases.check_supported(release)
        if release > NEWEST:
            _log.warning(
                "daemon %s is newer than this SDK, which treats it as %s: upgrade the SDK",
                release,
                NEWEST,
            )
        return release

    async def _probe(self, deadline: Deadline) -> Release:
        found = OLDEST
        for config_yaml, release in PROBES:
            if not await self._knows(config_yaml, deadline):
                break
            found = release
        return found

    async def _knows(self, config_yaml: str, deadline: Deadline) -> bool:
        try:
            await self._transport.unary(CREATE_SANDBOX, requests.probe(config_yaml), deadline)
        except InvalidArgumentError as error:
            if _KNOWN in str(error):
                return True
            if _UNKNOWN in str(error):
                return False
            raise ProtocolError(f"the daemon's release cannot be told: {error}") from error
        raise ProtocolError("the daemon accepted a create without an image: it is no daemon")
