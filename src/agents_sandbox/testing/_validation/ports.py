"""Published ports: their protocols and their limits."""

from __future__ import annotations

from collections.abc import Iterable

from ..._shared.facts import MAX_PORT
from .._protocol.refusals import invalid_argument
from .._protocol.spec import Port
from .strconv import quoted

_PROTOCOLS = ("tcp", "udp", "sctp")  # the index is the number on the wire


def parse_protocol(name: str) -> int:
    """Return a protocol's number on the wire; case does not matter, and the default is TCP.

    Raises:
        ValueError: There is no such protocol.
    """
    protocol = name.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise ValueError(f"unsupported port protocol {quoted(name)}; must be tcp, udp, or sctp")
    return _PROTOCOLS.index(protocol)


def check_ports(ports: Iterable[Port]) -> None:
    """Check the ports in order.

    Raises:
        StatusError: A port is refused.
    """
    seen: set[tuple[int, int]] = set()
    for port in ports:
        for field in ("container_port", "host_port"):
            number = getattr(port, field)
            if not 1 <= number <= MAX_PORT:
                raise invalid_argument(
                    f"port {field} must be between 1 and {MAX_PORT}, got {number}"
                )
        if not 0 <= port.protocol < len(_PROTOCOLS):
            raise invalid_argument(f"port protocol must be TCP, UDP, or SCTP, got {port.protocol}")
        if (port.host_port, port.protocol) in seen:
            protocol = _PROTOCOLS[port.protocol]
            raise invalid_argument(f"duplicate host_port {port.host_port} with protocol {protocol}")
        seen.add((port.host_port, port.protocol))
