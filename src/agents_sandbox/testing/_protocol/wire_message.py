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
    """Return a message as it travels.

    Raises:
        TypeError: It is neither bytes nor a protobuf message.
    """
    if isinstance(message, bytes):
        return message
    if not hasattr(message, "SerializeToString"):
        raise TypeError(f"a message must be bytes or a protobuf message, not {message!r}")
    return message.SerializeToString()
