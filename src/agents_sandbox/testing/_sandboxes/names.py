"""Network names and host ports, which only one sandbox can use at a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from .._host.containers import DockerError
from .._host.declared import DockerHost
from .._protocol.profile import Profile
from .._protocol.spec import Spec
from .sandbox import Sandbox


class Names:
    """The network names and host ports in use, each with its sandbox."""

    def __init__(self, profile: Profile, docker: DockerHost) -> None:
        self._folds_underscores = profile.names_fold_underscores
        self._networks: dict[str, Sandbox] = {}
        self._ports: dict[tuple[int, int], Sandbox] = {}
        self._foreign_ports = frozenset(docker.ports_in_use)

    def of(self, sandbox_id: str) -> str:
        """Return the part of container and network names that identifies a sandbox."""
        return sandbox_id.replace("_", "-") if self._folds_underscores else sandbox_id

    def namesake(self, sandbox: Sandbox) -> Sandbox | None:
        """Return the other sandbox that has a network of the same name, if any."""
        return self._networks.get(self.of(sandbox.id))

    def clash(self, sandbox: Sandbox) -> DockerError:
        """Make Docker's error for a network name that already exists."""
        return DockerError(
            f"Error response from daemon: network with name {_network(self.of(sandbox.id))} "
            "already exists"
        )

    @property
    def networks(self) -> dict[str, str]:
        """The networks that exist: the id of the sandbox of each, by name."""
        return {_network(name): sandbox.id for name, sandbox in self._networks.items()}

    def take_network(self, sandbox: Sandbox) -> None:
        """Create the network of a sandbox."""
        self._networks[self.of(sandbox.id)] = sandbox

    def take_ports(self, sandbox: Sandbox) -> None:
        """Publish the ports of a sandbox.

        Raises:
            DockerError: A port is in use.
        """
        for number, protocol in _ports(sandbox.spec):
            if number in self._foreign_ports or (number, protocol) in self._ports:
                raise DockerError(
                    "Error response from daemon: driver failed programming external "
                    f"connectivity on endpoint agbox-primary-{self.of(sandbox.id)} "
                    f"({secrets.token_hex(32)}): Bind for 127.0.0.1:{number} failed: "
                    "port is already allocated"
                )
        self._ports.update(dict.fromkeys(_ports(sandbox.spec), sandbox))

    def release_network(self, sandbox: Sandbox) -> None:
        """Remove the network of a sandbox."""
        name = self.of(sandbox.id)
        if self._networks.get(name) is sandbox:
            del self._networks[name]

    def release_ports(self, sandbox: Sandbox) -> None:
        """Release the ports of a sandbox."""
        for port in _ports(sandbox.spec):
            if self._ports.get(port) is sandbox:
                del self._ports[port]


def _network(name: str) -> str:
    return f"agbox-net-{name}"


def _ports(spec: Spec) -> Iterator[tuple[int, int]]:
    return ((port.host_port, port.protocol) for port in spec.ports)
