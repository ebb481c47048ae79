"""The models of input: what a caller can request for a sandbox.

Their constructors are written out because they accept more types than the attributes have (paths,
any iterable, any form of a duration). Type checkers know both. The checks are in `__post_init__`
because libraries such as pydantic and msgspec set the fields themselves and call only that. They
read the defaults from the fields.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from .._frozen import FrozenMapping
from .._shared.shown import OneLineRepr, shown
from .._tracebacks import ends_at_caller
from ..errors import InvalidArgumentError, InvalidArgumentTypeError
from . import checks
from .durations import DurationLike, to_timedelta

_UINT32_MAX = 2**32 - 1


def fill(model: object, **values: object) -> None:
    """Set the fields of a frozen dataclass, for use while it is made only."""
    for name, value in values.items():
        object.__setattr__(model, name, value)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class MountSpec(OneLineRepr):
    """A file or folder of the host that appears in the sandbox.

    Args:
        source: Absolute path on the daemon's host; must exist. Daemons since 0.3.2 replace a
            leading `~` with their own home.
        target: Absolute path in the sandbox. Daemons since 0.3.2 replace `~` with `/home/agbox`.
        writable: Whether the sandbox may write to it.

    Raises:
        InvalidArgumentError: A path is relative.
    """

    source: str
    target: str
    writable: bool = False

    @ends_at_caller
    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        writable: bool = False,
    ) -> None:
        fill(self, source=source, target=target, writable=writable)
        self.__post_init__()

    def __post_init__(self) -> None:
        fill(
            self,
            source=checks.mount_path("MountSpec.source", self.source),
            target=checks.mount_path("MountSpec.target", self.target),
            writable=checks.boolean("MountSpec.writable", self.writable),
        )


@dataclass(frozen=True, slots=True, init=False, repr=False)
class CopySpec(OneLineRepr):
    """A file or folder of the host that is copied into the sandbox when it is created.

    Args:
        source: As in `MountSpec`. Symlinks in it must not point out of it.
        target: A folder that exists in the sandbox. A folder's contents, or a file under its own
            name, are copied into it.
        exclude_patterns: What is not copied of a folder: patterns of Go's `path.Match`, compared
            with the path relative to the source and with the name alone.

    Raises:
        InvalidArgumentError: A path is relative.
    """

    source: str
    target: str
    exclude_patterns: tuple[str, ...] = ()

    @ends_at_caller
    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        exclude_patterns: Iterable[str] = (),
    ) -> None:
        fill(self, source=source, target=target, exclude_patterns=exclude_patterns)
        self.__post_init__()

    def __post_init__(self) -> None:
        fill(
            self,
            source=checks.mount_path("CopySpec.source", self.source),
            target=checks.mount_path("CopySpec.target", self.target),
            exclude_patterns=checks.texts("CopySpec.exclude_patterns", self.exclude_patterns),
        )


@dataclass(frozen=True, slots=True, init=False, repr=False)
class HealthcheckConfig(OneLineRepr):
    """How the health of a service or companion is checked, in Docker's terms.

    Pass durations as `timedelta`, as a number of seconds, or as a Go duration string (`"5s"`). The
    attributes are always `timedelta`.

    Args:
        test: The command: `("CMD", "pg_isready")` or `("CMD-SHELL", "...")`.
        interval: Time between two checks; None: the daemon's default, 30 s.
        timeout: How long one check may take; None: the daemon's default, 30 s.
        retries: Consecutive failures before the container is unhealthy; None or 0: the daemon's
            default, 3.
        start_period: Time in which failures do not count.
        start_interval: Time between two checks in the start period.
    """

    test: tuple[str, ...]
    interval: timedelta | None = None
    timeout: timedelta | None = None
    retries: int | None = None
    start_period: timedelta | None = None
    start_interval: timedelta | None = None

    @ends_at_caller
    def __init__(
        self,
        test: Iterable[str],
        interval: DurationLike | None = None,
        timeout: DurationLike | None = None,
        retries: int | None = None,
        start_period: DurationLike | None = None,
        start_interval: DurationLike | None = None,
    ) -> None:
        fill(
            self,
            test=test,
            interval=interval,
            timeout=timeout,
            retries=retries,
            start_period=start_period,
            start_interval=start_interval,
        )
        self.__post_init__()

    def __post_init__(self) -> None:
        where = "HealthcheckConfig"
        if self.retries is not None:
            checks.integer(f"{where}.retries", self.retries, maximum=_UINT32_MAX)
        fill(self, test=checks.texts(f"{where}.test", self.test))
        for name in ("interval", "timeout", "start_period", "start_interval"):
            value = getattr(self, name)
            if value is not None:
                fill(self, **{name: to_timedelta(f"{where}.{name}", value)})


@dataclass(frozen=True, slots=True, init=False, repr=False)
class ServiceSpec(OneLineRepr):
    """A service container beside the primary one, reachable under its name.

    Args:
        name: The service's name and host name in the sandbox's network.
        image: The service's image.
        envs: The service's own environment variables.
        healthcheck: How its health is checked. Daemons before 0.3.0 require one for required
            services.
        post_start_on_primary: Shell commands to run in the primary container once
            the service is healthy.
    """

    name: str
    image: str
    envs: Mapping[str, str] = field(default_factory=FrozenMapping)
    healthcheck: HealthcheckConfig | None = None
    post_start_on_primary: tuple[str, ...] = ()

    @ends_at_caller
    def __init__(
        self,
        name: str,
        image: str,
        envs: Mapping[str, str] = FrozenMapping(),
        healthcheck: HealthcheckConfig | None = None,
        post_start_on_primary: Iterable[str] = (),
    ) -> None:
        fill(
            self,
            name=name,
            image=image,
            envs=envs,
            healthcheck=healthcheck,
            post_start_on_primary=post_start_on_primary,
        )
        self.__post_init__()

    def __post_init__(self) -> None:
        _check_container(self)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class CompanionContainerSpec(OneLineRepr):
    """A container beside the primary one, reachable under its name; since daemon 0.3.0.

    READY never waits for companions. A limit that is None is not set.

    Args:
        name: The companion's name and host name in the sandbox's network.
        image: The companion's image.
        envs: The companion's own environment variables.
        healthcheck: How its health is checked; required with `post_start_on_primary`.
        command: Its command; None: the image's own. Since daemon 0.4.0.
        post_start_on_primary: Shell commands to run in the primary container once
            the companion is healthy.
        cpu_limit: CPUs it may use, e.g. `"0.5"`. Since daemon 0.4.1.
        memory_limit: Memory it may use, e.g. `"512m"`. Since daemon 0.4.1.
        disk_limit: Disk space it may use, e.g. `"10g"`. Since daemon 0.4.1.
    """

    name: str
    image: str
    envs: Mapping[str, str] = field(default_factory=FrozenMapping)
    healthcheck: HealthcheckConfig | None = None
    command: tuple[str, ...] | None = None
    post_start_on_primary: tuple[str, ...] = ()
    cpu_limit: str | None = None
    memory_limit: str | None = None
    disk_limit: str | None = None

    @ends_at_caller
    def __init__(
        self,
        name: str,
        image: str,
        envs: Mapping[str, str] = FrozenMapping(),
        healthcheck: HealthcheckConfig | None = None,
        command: Iterable[str] | None = None,
        post_start_on_primary: Iterable[str] = (),
        cpu_limit: str | None = None,
        memory_limit: str | None = None,
        disk_limit: str | None = None,
    ) -> None:
        fill(
            self,
            name=name,
            image=image,
            envs=envs,
            healthcheck=healthcheck,
            command=command,
            post_start_on_primary=post_start_on_primary,
            cpu_limit=cpu_limit,
            memory_limit=memory_limit,
            disk_limit=disk_limit,
        )
        self.__post_init__()

    def __post_init__(self) -> None:
        _check_container(self)
        where = "CompanionContainerSpec"
        fill(
            self,
            command=optional_command(f"{where}.command", self.command),
            cpu_limit=checks.optional_text(f"{where}.cpu_limit", self.cpu_limit),
            memory_limit=checks.optional_text(f"{where}.memory_limit", self.memory_limit),
            disk_limit=checks.optional_text(f"{where}.disk_limit", self.disk_limit),
        )


def _check_container(spec: ServiceSpec | CompanionContainerSpec) -> None:
    where = type(spec).__name__
    if spec.healthcheck is not None and not isinstance(spec.healthcheck, HealthcheckConfig):
        raise InvalidArgumentTypeError(f"{where}.healthcheck must be a HealthcheckConfig")
    commands = checks.texts(f"{where}.post_start_on_primary", spec.post_start_on_primary)
    fill(
        spec,
        name=checks.text(f"{where}.name", spec.name),
        image=checks.text(f"{where}.image", spec.image),
        envs=checks.text_mapping(f"{where}.envs", spec.envs),
        post_start_on_primary=commands,
    )


def optional_command(name: str, command: Iterable[str] | None) -> tuple[str, ...] | None:
    """Check a container's command. The wire cannot carry an empty one: it would be ignored."""
    if command is None:
        return None
    argv = checks.texts(name, command)
    if not argv:
        raise InvalidArgumentError(f"{name} must not be empty: omit it for the default command")
    return argv


_PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class PortMapping(OneLineRepr):
    """A port of the sandbox that is published on the daemon's host; since daemon 0.4.0.

    Args:
        container_port: The port in the sandbox, 1 to 65535.
        host_port: The port on the host's loopback address, 1 to 65535.
        protocol: `"tcp"`, `"udp"` or `"sctp"`, in any case; the attribute is in lower case.
    """

    container_port: int
    host_port: int
    protocol: str = "tcp"

    @ends_at_caller
    def __init__(self, container_port: int, host_port: int, protocol: str = "tcp") -> None:
        fill(self, container_port=container_port, host_port=host_port, protocol=protocol)
        self.__post_init__()

    def __post_init__(self) -> None:
        protocol = str(self.protocol).lower()
        if protocol not in _PROTOCOLS:
            raise InvalidArgumentError(
                f"PortMapping.protocol must be one of {', '.join(_PROTOCOLS)}: "
                f"{shown(self.protocol)}"
            )
        fill(
            self,
            container_port=checks.port("PortMapping.container_port", self.container_port),
            host_port=checks.port("PortMapping.host_port", self.host_port),
            protocol=protocol,
        )
