"""What Docker refuses, and its words for it."""

from __future__ import annotations

import posixpath
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from .._wire import v02_pb2 as pb
from ._containers import DockerError
from ._host import DockerHost, Host
from ._profile import Profile
from ._sandbox import Sandbox
from ._spec import SideContainer, Spec

_LOG_MOUNT = "/var/log/agents-sandbox"
_REGISTRY = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
_NAME = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"{_REGISTRY}{_NAME}(?:/{_NAME})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9]+:\w+)?", re.ASCII
)
_START_INTERVAL_API = (1, 44)


def check_images(spec: Spec, host: Host) -> None:
    """All images are pulled before anything starts, those of optional services too.

    Raises:
        DockerError: One cannot be pulled.
    """
    for image in (spec.image, *(item.image for item in spec.side_containers)):
        if not _IMAGE.fullmatch(image):
            upper = any(c.isupper() for c in _REGISTRY_PREFIX.sub("", image))
            why = ": repository name must be lowercase" if upper else ""
            raise DockerError(
                f"Error response from daemon: no such image: {image}: invalid reference format{why}"
            )
        if not host.has_image(image):
            raise DockerError(f"Error response from daemon: {_not_pulled(image)}")


_REGISTRY_PREFIX = re.compile(rf"^(?=[^/]*[.:]){_REGISTRY}")


def _not_pulled(image: str) -> str:
    registry = image.partition("/")[0]
    if "/" in image and "." in registry:
        return f'Get "https://{registry}/v2/": dial tcp: lookup {registry}: no such host'
    return (
        f"pull access denied for {image}, repository does not exist or may require 'docker login'"
    )


def check_tools(spec: Spec, profile: Profile) -> None:
    """Some tools need files of the daemon's user.

    Raises:
        DockerError: One of them is not there.
    """
    for tool in spec.builtin_tools:
        for path in (Path.home() / name for name in profile.builtin_tools[tool]):
            if not path.exists():
                raise DockerError(f"stat {path}: no such file or directory")


def check_mounts(spec: Spec, logs: Path) -> None:
    """The daemon mounts the folder of the exec logs itself.

    Raises:
        DockerError: A mount is in its way.
    """
    for mount in spec.mounts:
        if posixpath.normpath(mount.target) == _LOG_MOUNT:
            raise DockerError(
                f"conflicting mount target {mount.target} for {mount.source} and {logs}"
            )


def check_primary(spec: Spec, docker: DockerHost) -> None:
    """What Docker refuses when the primary container is made.

    Raises:
        DockerError: It asks for too much.
    """
    _check_targets(spec.mounts)
    _check_disk(spec.disk_limit, docker)
    if spec.gpus and not docker.gpus:
        raise DockerError(
            'Error response from daemon: could not select device driver "nvidia" '
            "with capabilities: [[gpu]]"
        )
    for copy in spec.copies:
        if Path(copy.source).is_socket():
            # The real daemon's words are not recorded.
            raise DockerError(f"copy source is a unix socket: {copy.source}")


def _check_targets(mounts: Iterable[pb.MountSpec]) -> None:
    targets: set[str] = set()
    for mount in mounts:
        target = posixpath.normpath(mount.target)
        if not target.strip("/"):
            raise DockerError(
                'Error response from daemon: invalid mount config for type "bind": '
                "invalid specification: destination can't be '/'"
            )
        if target in targets:
            raise DockerError(f"Error response from daemon: Duplicate mount point: {target}")
        targets.add(target)


def check_side_container(item: SideContainer, docker: DockerHost) -> None:
    """What Docker refuses when a side container is made.

    Raises:
        DockerError: It asks for too much.
    """
    interval = item.healthcheck.start_interval if item.healthcheck else Duration()
    if (interval.seconds or interval.nanos) and docker.api_version < _START_INTERVAL_API:
        raise DockerError(
            f'"specify health-check start interval" requires API version '
            f"{_dotted(_START_INTERVAL_API)}, but the Docker daemon API version is "
            f"{_dotted(docker.api_version)}"
        )
    _check_disk(item.disk_limit, docker)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _check_disk(limit: str, docker: DockerHost) -> None:
    if limit and not docker.disk_quota:
        raise DockerError(
            "rpc error: code = FailedPrecondition desc = disk_limit not supported by Docker "
            "runtime: Error response from daemon: --storage-opt is supported only for overlay "
            "over xfs with 'pquota' mount option. Prerequisites: overlay2 storage driver on XFS "
            "with prjquota mount option and ftype=1. Run: docker info --format '{{.Driver}} "
            "{{.DockerRootDir}}' and findmnt -T <DockerRootDir> to diagnose."
        )


class Names:
    """What only one sandbox can have at a time: names of networks, and ports of the host."""

    def __init__(self, profile: Profile, docker: DockerHost) -> None:
        self._fold = profile.names_fold_underscores
        self._networks: dict[str, Sandbox] = {}
        self._ports: dict[tuple[int, int], Sandbox] = {}
        self._foreign_ports = frozenset(docker.ports_in_use)

    def of(self, sandbox_id: str) -> str:
        """The part of container and network names that stands for a sandbox."""
        return sandbox_id.replace("_", "-") if self._fold else sandbox_id

    def namesake(self, sandbox: Sandbox) -> Sandbox | None:
        """The other sandbox that has a network of the same name."""
        return self._networks.get(self.of(sandbox.id))

    def clash(self, sandbox: Sandbox) -> DockerError:
        """Docker's complaint about a network of the same name."""
        return DockerError(
            "Error response from daemon: network with name "
            f"agbox-net-{self.of(sandbox.id)} already exists"
        )

    def take_network(self, sandbox: Sandbox) -> None:
        """Make the network of a sandbox."""
        self._networks[self.of(sandbox.id)] = sandbox

    def take_ports(self, sandbox: Sandbox) -> None:
        """Publish the ports of a sandbox.

        Raises:
            DockerError: One is taken.
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
        """Give back the ports of a sandbox."""
        for port in _ports(sandbox.spec):
            if self._ports.get(port) is sandbox:
                del self._ports[port]


def _ports(spec: Spec) -> Iterator[tuple[int, int]]:
    return ((port.host_port, port.protocol) for port in spec.ports)
