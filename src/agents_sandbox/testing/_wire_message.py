"""Messages of the daemon's protocol as tests hand them in."""

from __future__ import annotations

from typing import Protocol, TypeAlias


class Serializable(Protocol):
    """A message in any form that can say what it looks like on the wire."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return the message as it travels."""
        ...


WireMessage: TypeAlias = bytes | Serializable
"""A message of the daemon's protocol: its bytes on the wire, or a protobuf message."""


def wire_bytes(message: WireMessage) -> bytes:
    """Return a message as it travels."""
    return message if isinstance(message, bytes) else message.SerializeToString()
