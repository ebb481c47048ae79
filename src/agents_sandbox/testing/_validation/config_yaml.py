"""`config_yaml`, the declarative form of a create: read into a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from ..._wire import v02_pb2 as pb
from .._protocol.dialect import COMPANION_FIELDS, Dialect
from .._protocol.profile import Profile
from .._protocol.refusals import invalid_argument
from .._protocol.spec import LIMITS, Port, SideContainer, Spec
from .durations import parse_duration
from .limits import command_fault
from .ports import protocol_number
from .strconv import quoted
from .yaml_graph import read_document
from .yaml_nodes import Decoder, NodeReader

_HEALTHCHECK_TIMES = ("interval", "timeout", "start_period", "start_interval")
_AS_THEY_ARE = ("image", "builtin_tools", "labels", "envs", "command", *LIMITS, "gpus")


def parse_config_yaml(text: bytes, profile: Profile) -> Spec:
    """Read a declarative configuration; only its first document counts.

    Args:
        text: The YAML, in UTF-8 or UTF-16.
        profile: The daemon's version, which decides what keys there are.

    Raises:
        StatusError: It is malformed, or PyYAML is not installed.
    """
    try:
        return _spec(_config(text, profile), profile.dialect)
    except ValueError as error:
        raise invalid_argument(f"invalid config_yaml: {error}") from error


def _config(text: bytes, profile: Profile) -> dict[str, Any]:
    document = read_document(text)
    if document is None:
        raise ValueError("EOF")
    reader = NodeReader()
    config = _config_decoder(reader, profile)(document)
    if reader.errors:
        raise ValueError("\n  ".join(("yaml: unmarshal errors:", *reader.errors)))
    return config


def _config_decoder(reader: NodeReader, profile: Profile) -> Decoder[dict[str, Any]]:
    newer: dict[str, Decoder[Any]] = {
        "ports": _structs(reader, "control.YAMLPortMapping", _port_fields(reader)),
        "command": reader.strings,
        **dict.fromkeys((*LIMITS, "gpus"), reader.string),
    }
    known = {name: decode for name, decode in newer.items() if name in profile.new_fields}
    path_fields = {"source": reader.string, "target": reader.string}
    mount_fields = {**path_fields, "writable": reader.boolean}
    copy_fields = {**path_fields, "exclude_patterns": reader.strings}
    side_type = profile.dialect.yaml_side_type
    side_container = reader.struct(side_type, _side_container_fields(reader, known))
    return reader.struct(
        "control.YAMLConfig",
        {
            "image": reader.string,
            "mounts": _structs(reader, "control.YAMLMountSpec", mount_fields),
            "copies": _structs(reader, "control.YAMLCopySpec", copy_fields),
            "builtin_tools": reader.strings,
            **dict.fromkeys(profile.dialect.side_lists, reader.map_of(side_container, side_type)),
            "labels": reader.string_map,
            "envs": reader.string_map,
            "idle_ttl": reader.string,
            **known,
        },
    )


def _structs(
    reader: NodeReader, go_type: str, fields: Mapping[str, Decoder[Any]]
) -> Decoder[list[dict[str, Any]]]:
    return reader.list_of(reader.struct(go_type, fields), go_type)


def _port_fields(reader: NodeReader) -> dict[str, Decoder[Any]]:
    return {
        "container_port": reader.uint32,
        "host_port": reader.uint32,
        "protocol": reader.string,
    }


def _side_container_fields(
    reader: NodeReader, newer: Mapping[str, Decoder[Any]]
) -> dict[str, Decoder[Any]]:
    times = dict.fromkeys(_HEALTHCHECK_TIMES, reader.string)
    return {
        "image": reader.string,
        "envs": reader.string_map,
        "healthcheck": reader.struct(
            "control.YAMLHealthcheckConfig",
            {"test": reader.strings, "retries": reader.uint32, **times},
        ),
        "post_start_on_primary": reader.strings,
        **{name: newer[name] for name in COMPANION_FIELDS if name in newer},
    }


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
        **{name: config[name] for name in _AS_THEY_ARE if name in config},
        **side,
    )


def _port(container_port: int = 0, host_port: int = 0, protocol: str = "") -> Port:
    return Port(container_port, host_port, protocol_number(protocol))


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
