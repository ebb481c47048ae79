"""Reads `config_yaml`, the declarative form of a create, into a spec."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration

from ..._wire import v02_pb2 as pb
from .._protocol.dialect import COMPANION_FIELDS, Dialect
from .._protocol.profile import Profile
from .._protocol.refusals import invalid_argument
from .._protocol.spec import LIMITS, Port, SideContainer, Spec
from .durations import parse_duration
from .limits import command_fault
from .ports import parse_protocol
from .strconv import quoted
from .yaml_nodes import Decoder, boolean, list_of, map_of, read_document, string, struct, uint32

_HEALTHCHECK_TIMES = ("interval", "timeout", "start_period", "start_interval")
_UNCHANGED = ("image", "builtin_tools", "labels", "envs", "command", *LIMITS, "gpus")


def _structs(go_type: str, fields: dict[str, Decoder[Any]]) -> Decoder[list[dict[str, Any]]]:
    return list_of(struct(go_type, fields), go_type)


_STRINGS = list_of(string, "string")
_STRING_MAP = map_of(string, "string")
_PATHS: dict[str, Decoder[Any]] = {"source": string, "target": string}
_FIELDS: dict[str, Decoder[Any]] = {
    "image": string,
    "mounts": _structs("control.YAMLMountSpec", {**_PATHS, "writable": boolean}),
    "copies": _structs("control.YAMLCopySpec", {**_PATHS, "exclude_patterns": _STRINGS}),
    "builtin_tools": _STRINGS,
    "labels": _STRING_MAP,
    "envs": _STRING_MAP,
    "idle_ttl": string,
}
_SIDE_FIELDS: dict[str, Decoder[Any]] = {
    "image": string,
    "envs": _STRING_MAP,
    "healthcheck": struct(
        "control.YAMLHealthcheckConfig",
        {"test": _STRINGS, "retries": uint32, **dict.fromkeys(_HEALTHCHECK_TIMES, string)},
    ),
    "post_start_on_primary": _STRINGS,
}
_NEW_FIELDS: dict[str, Decoder[Any]] = {
    "ports": _structs(
        "control.YAMLPortMapping",
        {"container_port": uint32, "host_port": uint32, "protocol": string},
    ),
    "command": _STRINGS,
    **dict.fromkeys((*LIMITS, "gpus"), string),
}


def parse_config_yaml(text: bytes, profile: Profile) -> Spec:
    """Read a declarative configuration; only its first document is used.

    Args:
        text: The YAML, in UTF-8 or UTF-16.
        profile: The daemon's release, which determines the known keys.

    Raises:
        StatusError: It is malformed, or PyYAML is not installed.
    """
    try:
        return _spec(_config_decoder(profile)(read_document(text)), profile.dialect)
    except ValueError as error:
        raise invalid_argument(f"invalid config_yaml: {error}") from error
    except RecursionError as error:
        raise invalid_argument(
            "invalid config_yaml: yaml: nested too deeply, or an anchor contains itself"
        ) from error


def _config_decoder(profile: Profile) -> Decoder[dict[str, Any]]:
    newer = {name: _NEW_FIELDS[name] for name in profile.new_fields}
    companion = {name: newer[name] for name in COMPANION_FIELDS if name in newer}
    side_type = profile.dialect.yaml_side_type
    side_containers = map_of(struct(side_type, {**_SIDE_FIELDS, **companion}), side_type)
    sides = dict.fromkeys(profile.dialect.side_lists, side_containers)
    return struct("control.YAMLConfig", {**_FIELDS, **sides, **newer})


def _spec(config: dict[str, Any], dialect: Dialect) -> Spec:
    _check_command("command", config)
    side: dict[str, Any] = {
        field: _side_containers(config.get(field, {}), dialect) for field in dialect.side_lists
    }
    return Spec(
        mounts=[pb.MountSpec(**mount) for mount in config.get("mounts", ())],
        copies=[pb.CopySpec(**copy) for copy in config.get("copies", ())],
        idle_ttl=_duration(config.get("idle_ttl"), "", "idle_ttl"),
        ports=[_port(**port) for port in config.get("ports", ())],
        **{name: config[name] for name in _UNCHANGED if name in config},
        **side,
    )


def _port(container_port: int = 0, host_port: int = 0, protocol: str = "") -> Port:
    return Port(container_port, host_port, parse_protocol(protocol))


def _side_containers(by_name: dict[str, Any], dialect: Dialect) -> list[SideContainer]:
    return [_side_container(name, by_name[name], dialect) for name in sorted(by_name)]


def _side_container(name: str, config: dict[str, Any], dialect: Dialect) -> SideContainer:
    _check_command(f"companion_containers[{name}].command", config)
    container = SideContainer(name=name, **{"image": "", **config})
    if "healthcheck" in config:
        where = f"{dialect.noun} {quoted(name)}: "
        container.healthcheck = _healthcheck(where, config["healthcheck"])
    return container


def _check_command(where: str, config: dict[str, Any]) -> None:
    command = config.get("command")
    if command == []:
        raise ValueError(f"{where}: empty array is not allowed; omit the field to use the default")
    fault = command_fault(where, command or ())
    if fault:
        raise ValueError(fault)


def _healthcheck(where: str, config: dict[str, Any]) -> pb.HealthcheckConfig:
    return pb.HealthcheckConfig(
        test=config.get("test"),
        retries=config.get("retries"),
        **{field: _duration(config.get(field), where, field) for field in _HEALTHCHECK_TIMES},
    )


def _duration(text: str | None, where: str, field: str) -> Duration | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{where}invalid duration for {field}: {quoted(text)}: {error}") from error
