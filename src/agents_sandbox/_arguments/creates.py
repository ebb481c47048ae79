"""The checked arguments of creates, without protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from os import PathLike
from typing import NamedTuple, TypedDict, TypeVar

from .._frozen import FrozenMapping
from .._shared.shown import OneLineRepr, shown_id
from ..errors import InvalidArgumentError, InvalidArgumentTypeError
from . import checks
from .durations import DurationLike, check_range, to_timedelta
from .ids import SandboxIdLike, new_uuid, sandbox_id_of
from .specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
    fill,
    optional_command,
)

_NewT = TypeVar("_NewT")

_LIMITS = ("cpu_limit", "memory_limit", "disk_limit")
_HEALTHCHECK_DURATIONS = ("interval", "timeout", "start_period", "start_interval")


class PoolArguments(TypedDict, total=False):
    """What to create again and again."""

    image: str | None
    config_yaml: str | bytes | None
    mounts: Iterable[MountSpec]
    copies: Iterable[CopySpec]
    builtin_tools: Iterable[str]
    required_services: Iterable[ServiceSpec]
    optional_services: Iterable[ServiceSpec]
    companion_containers: Iterable[CompanionContainerSpec]
    labels: Mapping[str, str] | None
    envs: Mapping[str, str] | None
    idle_ttl: DurationLike | None
    ports: Iterable[PortMapping]
    command: Sequence[str] | None
    cpu_limit: str | None
    memory_limit: str | None
    disk_limit: str | None
    gpus: str | None


class SandboxArguments(PoolArguments, total=False):
    """What to create: the arguments of `create_sandbox` but those of the call."""

    sandbox_id: str | None


@dataclass(eq=False, init=False, repr=False)
class NewSandbox(OneLineRepr):
    """The arguments of `create_sandbox`. It makes an id if there is none: errors can then name it.

    Raises:
        InvalidArgumentError: An argument is not acceptable.
    """

    sandbox_id: str
    id_is_ours: bool
    config_yaml: bytes
    image: str
    mounts: tuple[MountSpec, ...]
    copies: tuple[CopySpec, ...]
    builtin_tools: tuple[str, ...]
    required_services: tuple[ServiceSpec, ...]
    optional_services: tuple[ServiceSpec, ...]
    companion_containers: tuple[CompanionContainerSpec, ...]
    labels: Mapping[str, str]
    envs: Mapping[str, str]
    idle_ttl: timedelta | None
    ports: tuple[PortMapping, ...]
    command: tuple[str, ...]
    cpu_limit: str | None
    memory_limit: str | None
    disk_limit: str | None
    gpus: str | None

    def __init__(
        self,
        *,
        image: str | None = None,
        sandbox_id: str | None = None,
        config_yaml: str | bytes | None = None,
        mounts: Iterable[MountSpec] = (),
        copies: Iterable[CopySpec] = (),
        builtin_tools: Iterable[str] = (),
        required_services: Iterable[ServiceSpec] = (),
        optional_services: Iterable[ServiceSpec] = (),
        companion_containers: Iterable[CompanionContainerSpec] = (),
        labels: Mapping[str, str] | None = None,
        envs: Mapping[str, str] | None = None,
        idle_ttl: DurationLike | None = None,
        ports: Iterable[PortMapping] = (),
        command: Sequence[str] | None = None,
        cpu_limit: str | None = None,
        memory_limit: str | None = None,
        disk_limit: str | None = None,
        gpus: str | None = None,
    ) -> None:
        fill(
            self,
            config_yaml=_yaml(config_yaml),
            image=checks.optional_text("image", image) or "",
        )
        if not self.image and not self.config_yaml:
            raise InvalidArgumentError(
                'image is required: pass image="..." on every create_sandbox, or a config_yaml '
                "that names one"
            )
        fill(
            self,
            sandbox_id=_new_id("sandbox_id", sandbox_id),
            id_is_ours=sandbox_id is None,
            mounts=checks.items("mounts", mounts, MountSpec),
            copies=checks.items("copies", copies, CopySpec),
            builtin_tools=checks.texts("builtin_tools", builtin_tools),
            required_services=checks.items("required_services", required_services, ServiceSpec),
            optional_services=checks.items("optional_services", optional_services, ServiceSpec),
            companion_containers=checks.items(
                "companion_containers", companion_containers, CompanionContainerSpec
            ),
            labels=checks.optional_mapping("labels", labels),
            envs=checks.optional_mapping("envs", envs),
            idle_ttl=None if idle_ttl is None else to_timedelta("idle_ttl", idle_ttl),
            ports=checks.items("ports", ports, PortMapping),
            command=optional_command("command", command) or (),
            cpu_limit=checks.optional_text("cpu_limit", cpu_limit),
            memory_limit=checks.optional_text("memory_limit", memory_limit),
            disk_limit=checks.optional_text("disk_limit", disk_limit),
            gpus=checks.optional_text("gpus", gpus),
        )
        self._check_contents()

    @classmethod
    def of(cls, call: str, arguments: PoolArguments) -> NewSandbox:
        """Check the keywords of a public call, which is named in the error of a wrong one.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        for name in arguments:
            if name not in SandboxArguments.__annotations__:
                raise InvalidArgumentTypeError(
                    f"{call}() got an unexpected keyword argument {name!r}"
                )
        return cls(**arguments)

    def with_fresh_id(self) -> NewSandbox:
        """Return the same with another new id."""
        return _renewed(self, "sandbox_id")

    def with_labels(
        self, labels: Mapping[str, str], *, default: Mapping[str, str] = FrozenMapping()
    ) -> NewSandbox:
        """Return the same with more labels: some that override its own, and some that do not."""
        other = copy(self)
        fill(other, labels=FrozenMapping({**default, **self.labels, **labels}))
        return other

    def with_mount(self, mount: MountSpec) -> NewSandbox:
        """Return the same with one more mount."""
        other = copy(self)
        fill(other, mounts=(*self.mounts, mount))
        return other

    def newer_fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that not every release knows: the name for messages and for `SINCE`."""
        for companion in self.companion_containers:
            yield "companion_containers", "companion_containers"
            for name in ("command", *_LIMITS):
                if getattr(companion, name):
                    yield f"companion_containers[{shown_id(companion.name)}].{name}", name
        for name in ("ports", "command", *_LIMITS, "gpus"):
            if getattr(self, name):
                yield name, name

    # Not checked by the constructors of the containers, because a handle contains whatever the
    # daemon reports.
    def _check_contents(self) -> None:
        check_range("idle_ttl", self.idle_ttl)
        _check_names("envs", self.envs)
        for containers in (
            self.required_services,
            self.optional_services,
            self.companion_containers,
        ):
            for container in containers:
                _check_names(f"{type(container).__name__}.envs", container.envs)
                if container.healthcheck is not None:
                    _check_healthcheck(container.healthcheck)


# Docker refuses such a variable too, but its error shows the value.
def _check_names(name: str, envs: Mapping[str, str]) -> None:
    if "" in envs:
        raise InvalidArgumentError(f"{name} has a variable without a name")


def _check_healthcheck(check: HealthcheckConfig) -> None:
    for name in _HEALTHCHECK_DURATIONS:
        check_range(f"HealthcheckConfig.{name}", getattr(check, name))


def _yaml(config_yaml: str | bytes | None) -> bytes:
    if config_yaml is None or isinstance(config_yaml, bytes):
        return config_yaml or b""
    if not isinstance(config_yaml, str):
        raise InvalidArgumentTypeError(
            f"config_yaml must be str or bytes, not {type(config_yaml).__name__}"
        )
    return checks.text("config_yaml", config_yaml).encode()


def _new_id(name: str, value: str | None) -> str:
    return new_uuid() if value is None else checks.new_id(name, value)


def _renewed(new: _NewT, name: str) -> _NewT:
    fresh = copy(new)
    fill(fresh, **{name: new_uuid()})
    return fresh


@dataclass(eq=False, init=False, repr=False)
class NewExec(OneLineRepr):
    """The arguments of `create_exec`. It makes an id if there is none: errors can then name it.

    Raises:
        InvalidArgumentError: An argument is not acceptable.
    """

    sandbox_id: str
    exec_id: str
    id_is_ours: bool
    command: tuple[str, ...]
    cwd: str
    env_overrides: Mapping[str, str]

    def __init__(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
    ) -> None:
        argv = checks.texts("command", command)
        if not argv:
            raise InvalidArgumentError("command must not be empty: pass an argv, e.g. ('ls', '-l')")
        fill(
            self,
            sandbox_id=sandbox_id_of(sandbox_id),
            exec_id=_new_id("exec_id", exec_id),
            id_is_ours=exec_id is None,
            command=argv,
            cwd="" if cwd is None else checks.working_folder("cwd", cwd),
            env_overrides=checks.optional_mapping("env_overrides", env_overrides),
        )

    def with_fresh_id(self) -> NewExec:
        """Return the same with another new id."""
        return _renewed(self, "exec_id")

    def with_command(self, command: Sequence[str]) -> NewExec:
        """Return the same with another command, which was checked."""
        changed = copy(self)
        fill(changed, command=tuple(command))
        return changed


class LogPaths(NamedTuple):
    """The files on the daemon's host that collect an exec's output.

    Only the answer to `create_exec` has them. None: the daemon keeps no logs, or the answer was
    lost.
    """

    stdout: str | None = None
    stderr: str | None = None


NO_LOGS = LogPaths()
