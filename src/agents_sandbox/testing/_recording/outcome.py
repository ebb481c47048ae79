"""What the daemon says at the end: the events of sandboxes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from ..._shared.shown import shown_id
from ..._wire import v02_pb2 as pb
from ..._wire.methods import PING, SUBSCRIBE_SANDBOX_EVENTS, Method
from .._protocol.profile import PROFILES, RELEASES
from .observer import HeardSandbox

_TIMEOUT = 10.0
"""Seconds for each call, and for a delete that is in progress: its end is the same each time."""

_BEGINNINGS = (
    pb.SANDBOX_ACCEPTED,
    pb.SANDBOX_PREPARING,
    pb.SANDBOX_STOP_REQUESTED,
    pb.SANDBOX_DELETE_REQUESTED,
)
_ENDS = (pb.SANDBOX_READY, pb.SANDBOX_FAILED, pb.SANDBOX_STOPPED, pb.SANDBOX_DELETED)


@dataclass(frozen=True)
class Outcome:
    """What the daemon says."""

    version: str
    events: dict[str, list[pb.SandboxEvent]] = field(default_factory=dict)
    """By the id of the sandbox; those that do not exist are missing."""
    images: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    """The ids of those that existed, but were purged."""

    def methods(self) -> dict[str, Method[Any, Any]]:
        """Return the methods of the daemon's dialect, by name."""
        return _methods(self.version)


def _methods(version: str) -> dict[str, Method[Any, Any]]:
    profile = PROFILES.get(version) or PROFILES[RELEASES[-1]]
    return {method.name: method for method in profile.dialect.methods}


async def ask(channel: grpc.aio.Channel, sandboxes: Iterable[HeardSandbox]) -> Outcome:
    """Ask a daemon for all events of sandboxes.

    Raises:
        RuntimeError: It does not answer.
    """
    try:
        ping = await _call(channel, PING)(pb.PingRequest(), timeout=_TIMEOUT)
        outcome = Outcome(ping.version)
        for sandbox in sandboxes:
            await _ask_for(channel, sandbox, outcome)
    except grpc.aio.AioRpcError as error:
        is_down = error.code() is grpc.StatusCode.UNAVAILABLE
        hint = ". Close the recorder before the daemon ends" if is_down else ""
        raise RuntimeError(
            f"the cassette was not written: the daemon failed with {error.code().name}: "
            f"{error.details()}{hint}"
        ) from None
    return outcome


async def _ask_for(channel: grpc.aio.Channel, sandbox: HeardSandbox, outcome: Outcome) -> None:
    get = _call(channel, outcome.methods()["GetSandbox"])
    try:
        answer = await get(pb.GetSandboxRequest(sandbox_id=sandbox.id), timeout=_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        if sandbox.is_known:  # else its create failed
            outcome.gone.append(sandbox.id)
        return
    outcome.images[sandbox.id] = answer.sandbox.image
    events = outcome.events[sandbox.id] = []
    stream = _call(channel, SUBSCRIBE_SANDBOX_EVENTS)(
        pb.SubscribeSandboxEventsRequest(sandbox_id=sandbox.id), timeout=_TIMEOUT
    )
    is_complete = in_progress = False
    try:
        async for event in stream:
            events.append(event)
            in_progress = _is_in_progress(event.event_type, before=in_progress)
            is_complete |= event.sequence >= answer.sandbox.last_event_sequence
            if is_complete and not in_progress:
                break
    except grpc.aio.AioRpcError as error:
        # The daemon, too, may end a stream at its deadline.
        if error.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
            raise
    finally:
        stream.cancel()
    if not is_complete:
        raise RuntimeError(
            "the cassette was not written: the daemon did not send all events of sandbox "
            f"{shown_id(sandbox.id)}"
        )


def _is_in_progress(kind: int, *, before: bool) -> bool:
    """Return whether a change of the sandbox is in progress after an event."""
    if kind in _BEGINNINGS:
        return True
    return before and kind not in _ENDS


def _call(channel: grpc.aio.Channel, method: Method[Any, Any]) -> Any:
    make: Any = channel.unary_stream if method.streams else channel.unary_unary
    return make(
        method.path,
        request_serializer=method.request_type.SerializeToString,
        response_deserializer=method.response_type.FromString,
    )
