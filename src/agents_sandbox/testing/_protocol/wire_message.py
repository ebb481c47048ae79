"""Messages of the daemon's protocol, in the forms that tests may pass."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from ..._shared.shown import shown


class Serializable(Protocol):
    """A message that can be serialized, such as a protobuf message."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return the serialized message."""
        ...


WireMessage: TypeAlias = bytes | Serializable
"""A message of the daemon's protocol: its bytes on the wire, or a protobuf message."""


def wire_bytes(message: WireMessage) -> bytes:
    """Return a message in serialized form.

    Raises:
        TypeError: It is neither bytes nor a protobuf message.
    """
    if isinstance(message, bytes):
        return message
    if not hasattr(message, "SerializeToString"):
        raise TypeError(f"a message must be bytes or a protobuf message, not {shown(message)}")
    return message.SerializeToString()
