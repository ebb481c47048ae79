"""The two wire dialects: how creates and handles are encoded, and the terms in messages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from ..._wire import v02_pb2 as pb
from ..._wire import v04_pb2 as v04
from ..._wire.methods import METHODS_V02, METHODS_V04, Method
from .spec import LIMITS, Port, SideContainer, Spec

_SERVICE_FIELDS = ("name", "image", "envs", "healthcheck", "post_start_on_primary")
COMPANION_FIELDS = ("command", *LIMITS)
"""Fields of CompanionContainerSpec that were added within dialect 0.4."""
FIELDS_SINCE_04 = ("ports", *COMPANION_FIELDS, "gpus")
"""Fields of CreateSpec that were added within dialect 0.4."""


@dataclass(frozen=True)
class Dialect:
    """One wire dialect."""

    methods: tuple[Method[Any, Any], ...]
    decode_spec: Callable[[Any, Collection[str]], Spec]
    """Decode a CreateSpec; `FIELDS_SINCE_04` that are not in the collection are dropped."""
    encode_handle: Callable[[Spec, Mapping[str, Any]], Message]
    """Make a SandboxHandle from a spec and the fields that both dialects have."""
    side_lists: tuple[str, ...]
    """The fields of CreateSpec, and keys of `config_yaml`, that hold side containers."""
    yaml_side_type: str
    """The Go type of a side container in `config_yaml`."""
    noun: str
    """The term for a side container in error messages."""
    container_noun: str
    """The term for its Docker container."""
    container_prefix: str
    """The prefix of the names of these Docker containers."""
    start_error_code: str
    """The error code of a side container that could not be created or started."""


def _decode_v02(spec: pb.CreateSpec, _: Collection[str]) -> Spec:
    return Spec(
        required_services=[_decode_side(item, _SERVICE_FIELDS) for item in spec.required_services],
        optional_services=[_decode_side(item, _SERVICE_FIELDS) for item in spec.optional_services],
        **_common(spec),
    )


def _decode_v04(spec: v04.CreateSpec, known: Collection[str]) -> Spec:
    side_fields = (*_SERVICE_FIELDS, *(name for name in COMPANION_FIELDS if name in known))
    newer = {name: _plain(getattr(spec, name)) for name in FIELDS_SINCE_04 if name in known}
    ports = [Port(p.container_port, p.host_port, p.protocol) for p in newer.pop("ports", ())]
    return Spec(
        companion_containers=[
            _decode_side(item, side_fields) for item in spec.companion_containers
        ],
        ports=ports,
        **newer,
        **_common(spec),
    )


def _common(spec: pb.CreateSpec | v04.CreateSpec) -> dict[str, Any]:
    return {
        "image": spec.image,
        "mounts": list(spec.mounts),
        "copies": list(spec.copies),
        "builtin_tools": list(spec.builtin_tools),
        "labels": dict(spec.labels),
        "envs": dict(spec.envs),
        "idle_ttl": spec.idle_ttl if spec.HasField("idle_ttl") else None,
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else list(value)


def _decode_side(
    item: pb.ServiceSpec | v04.CompanionContainerSpec, fields: Collection[str]
) -> SideContainer:
    values = {name: getattr(item, name) for name in fields}
    values["envs"] = dict(item.envs)
    values["healthcheck"] = item.healthcheck if item.HasField("healthcheck") else None
    values["post_start_on_primary"] = list(item.post_start_on_primary)
    if "command" in values:
        values["command"] = list(values["command"])
    return SideContainer(**values)


def _encode_v02(spec: Spec, common: Mapping[str, Any]) -> pb.SandboxHandle:
    return pb.SandboxHandle(
        required_services=[_service(item) for item in spec.required_services],
        optional_services=[_service(item) for item in spec.optional_services],
        **common,
    )


def _encode_v04(spec: Spec, common: Mapping[str, Any]) -> v04.SandboxHandle:
    return v04.SandboxHandle(
        companion_containers=[
            v04.CompanionContainerSpec(**vars(item)) for item in spec.companion_containers
        ],
        **common,
    )


def _service(item: SideContainer) -> pb.ServiceSpec:
    return pb.ServiceSpec(**{name: getattr(item, name) for name in _SERVICE_FIELDS})


DIALECT_02 = Dialect(
    methods=METHODS_V02,
    decode_spec=_decode_v02,
    encode_handle=_encode_v02,
    side_lists=("required_services", "optional_services"),
    yaml_side_type="control.YAMLServiceSpec",
    noun="service",
    container_noun="service container",
    container_prefix="agbox-svc",
    start_error_code="SANDBOX_SERVICE_FAILED",
)
DIALECT_04 = Dialect(
    methods=METHODS_V04,
    decode_spec=_decode_v04,
    encode_handle=_encode_v04,
    side_lists=("companion_containers",),
    yaml_side_type="control.YAMLCompanionContainerSpec",  # a guess: not recorded
    noun="companion container",
    container_noun="companion container",
    container_prefix="agbox-cc",
    start_error_code="COMPANION_CONTAINER_FAILED",
)
