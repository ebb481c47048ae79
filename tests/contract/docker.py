"""What recorders read with Docker's commands, next to the records of the fake daemon."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agents_sandbox.testing import ContainerRecord, FakeDaemon

from .transcripts import Json

_KEY = re.compile(r"(?:^| )(\w+)=")
_SANDBOX_LABEL = "io.github.1996fanrui.agents-sandbox.sandbox-id"


@dataclass(frozen=True)
class Sight:
    """What was observed, on both sides.

    Attributes:
        recorded: What the recorder saw.
        actual: What is to be seen here.
        left_out: The parts of what the recorder saw that cannot be seen here.
    """

    recorded: Json
    actual: Json
    left_out: Sequence[str] = ()


def listing(daemon: FakeDaemon, recorded: str, *, with_networks: bool) -> Sight:
    """List the containers, one a line, with their states if the recorder listed these, too."""
    lines = recorded.splitlines()
    with_states = any(" " in line for line in lines)
    found = [f"{it.name} {it.state}" if with_states else it.name for it in daemon.containers]
    if with_networks:
        found += [item.name for item in daemon.networks]
    return Sight("\n".join(sorted(lines)), "\n".join(sorted(found)))


def inspection(daemon: FakeDaemon, recorded: str) -> Sight:
    """Inspect a primary container, as far as its record goes."""
    fields = dict(_fields(recorded))
    container = _primary(daemon, fields.get("labels", {}).get(_SANDBOX_LABEL))
    known = fields.keys() & _SHOWN.keys()
    return Sight(
        {key: fields[key] for key in known},
        {key: _SHOWN[key](container) for key in known} if container else None,
        sorted(fields.keys() - known),
    )


def _primary(daemon: FakeDaemon, sandbox_id: str | None) -> ContainerRecord | None:
    """The primary container of a sandbox, or else the only one: ids can be generated ones."""
    primaries = {item.sandbox_id: item for item in daemon.containers if item.labels}
    only = next(iter(primaries.values())) if len(primaries) == 1 else None
    return primaries.get(sandbox_id or "", only)


def _fields(text: str) -> Iterator[tuple[str, Json]]:
    """Split `key=value key=value`, where values are JSON or words."""
    position = 0
    while position < len(text):
        key = _KEY.match(text, position)
        assert key, f"not key=value: {text[position:]!r}"
        try:
            value, position = json.JSONDecoder().raw_decode(text, key.end())
        except ValueError:
            value, position = _word(text, key.end())
        yield key[1], value


def _word(text: str, start: int) -> tuple[str, int]:
    end = text.find(" ", start)
    end = len(text) if end < 0 else end
    return text[start:end], end


def _ports(container: ContainerRecord) -> Json:
    # Docker's own default for a container without ports.
    return {
        f"{port.container_port}/{port.protocol}": [
            {"HostIp": "127.0.0.1", "HostPort": str(port.host_port)}
        ]
        for port in container.ports
    } or None


_SHOWN: Mapping[str, Callable[[ContainerRecord], Json]] = {
    "labels": lambda it: dict(it.labels),
    "cmd": lambda it: list(it.command) if it.command else None,
    "ports": _ports,
    "nano": lambda it: round((it.cpu_limit or 0) * 1e9),
    "mem": lambda it: it.memory_limit or 0,
    "restart": lambda it: "unless-stopped" if it.restarts else "",
}
"""A record in Docker's terms, under the names that recorders gave its fields."""
