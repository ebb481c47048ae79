"""`config_yaml`: read into a spec, then overridden by the request's own spec."""

from __future__ import annotations

import importlib
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from .._wire import v02_pb2 as pb
from ._durations import parse_duration
from ._errors import StatusError, invalid_argument
from ._spec import SideContainer, Spec
from ._yaml_nodes import Decoder, NodeReader

_MAPS = ("labels", "envs")
_HEALTHCHECK_TIMES = ("interval", "timeout", "start_period", "start_interval")


def parse_config_yaml(text: bytes) -> Spec:
    """Read a declarative configuration; only its first document counts.

    Raises:
        StatusError: It is malformed, or PyYAML is not installed.
    """
    yaml = _import_yaml()
    try:
        return _spec(_config(yaml.SafeLoader(text)))
    except yaml.MarkedYAMLError as error:
        reason = f"yaml: line {error.problem_mark.line + 1}: {error.problem}"
        raise invalid_argument(f"invalid config_yaml: {reason}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise invalid_argument(f"invalid config_yaml: yaml: {error}") from error
    except ValueError as error:
        raise invalid_argument(f"invalid config_yaml: {error}") from error


def _import_yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "the fake daemon needs PyYAML for config_yaml: pip install 'agents-sandbox[testing]'",
        ) from error


def _config(loader: Any) -> dict[str, Any]:
    if not loader.check_node():
        raise ValueError("EOF")
    reader = NodeReader(loader)
    config = _config_decoder(reader)(loader.get_node())
    if reader.errors:
        raise ValueError("\n  ".join(("yaml: unmarshal errors:", *reader.errors)))
    return config


def _config_decoder(reader: NodeReader) -> Decoder[dict[str, Any]]:
    text = reader.string
    texts = reader.list_of(text, "string")
    text_map = reader.map_of(text, "string")
    times = dict.fromkeys(_HEALTHCHECK_TIMES, text)
    healthcheck = reader.struct(
        "control.YAMLHealthcheckConfig", {"test": texts, "retries": reader.uint32, **times}
    )
    service = reader.struct(
        "control.YAMLServiceSpec",
        {
            "image": text,
            "envs": text_map,
            "healthcheck": healthcheck,
            "post_start_on_primary": texts,
        },
    )
    services = reader.map_of(service, "control.YAMLServiceSpec")
    mount = reader.struct(
        "control.YAMLMountSpec", {"source": text, "target": text, "writable": reader.boolean}
    )
    copy = reader.struct(
        "control.YAMLCopySpec", {"source": text, "target": text, "exclude_patterns": texts}
    )
    return reader.struct(
        "control.YAMLConfig",
        {
            "image": text,
            "mounts": reader.list_of(mount, "control.YAMLMountSpec"),
            "copies": reader.list_of(copy, "control.YAMLCopySpec"),
            "builtin_tools": texts,
            "required_services": services,
            "optional_services": services,
            "labels": text_map,
            "envs": text_map,
            "idle_ttl": text,
        },
    )


def _spec(config: dict[str, Any]) -> Spec:
    return Spec(
        image=config.get("image", ""),
        mounts=[pb.MountSpec(**mount) for mount in config.get("mounts", ())],
        copies=[pb.CopySpec(**copy) for copy in config.get("copies", ())],
        builtin_tools=config.get("builtin_tools", []),
        required_services=_services(config.get("required_services", {})),
        optional_services=_services(config.get("optional_services", {})),
        labels=config.get("labels", {}),
        envs=config.get("envs", {}),
        idle_ttl=_duration(config.get("idle_ttl"), "", "idle_ttl"),
    )


def _services(services: dict[str, Any]) -> list[SideContainer]:
    return [_service(name, services[name]) for name in sorted(services)]


def _service(name: str, service: dict[str, Any]) -> SideContainer:
    fields = {key: value for key, value in service.items() if key != "healthcheck"}
    healthcheck = service.get("healthcheck")
    return SideContainer(
        name=name,
        healthcheck=None if healthcheck is None else _healthcheck(name, healthcheck),
        **fields,
    )


def _healthcheck(service: str, healthcheck: dict[str, Any]) -> pb.HealthcheckConfig:
    where = f'service "{service}": '
    return pb.HealthcheckConfig(
        test=healthcheck.get("test"),
        retries=healthcheck.get("retries"),
        **{field: _duration(healthcheck.get(field), where, field) for field in _HEALTHCHECK_TIMES},
    )


def _duration(text: str | None, where: str, field: str) -> Duration | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f'{where}invalid duration for {field}: "{text}": {error}') from error


def merge(base: Spec, override: Spec) -> Spec:
    """Put `override` on top of `base`.

    A list that is not empty replaces the whole list of the base; maps are merged key by
    key. Nothing can be emptied this way.
    """
    merged: dict[str, Any] = {}
    for name, below in vars(base).items():
        above = getattr(override, name)
        if name in _MAPS:
            merged[name] = {**below, **above}
        elif name == "idle_ttl":
            merged[name] = below if above is None else above
        else:
            merged[name] = above or below
    return Spec(**merged)
