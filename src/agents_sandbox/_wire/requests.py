"""Arguments to requests: checked, then encoded, before anything is sent."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

from .. import _checks
from .._durations import DurationLike, to_timedelta
from .._specs import CopySpec, MountSpec, ServiceSpec
from ..errors import InvalidArgumentError
from . import v02_pb2 as pb
from .codec import encode_copy, encode_duration, encode_mount, encode_service

_UINT64_MAX = 2**64 - 1


def ping() -> pb.PingRequest:
    """Encode a ping."""
    return pb.PingRequest()


def create_sandbox(
    *,
    image: str | None,
    sandbox_id: str | None,
    config_yaml: str | bytes | None,
    mounts: Iterable[MountSpec],
    copies: Iterable[CopySpec],
    builtin_tools: Iterable[str],
    required_services: Iterable[ServiceSpec],
    optional_services: Iterable[ServiceSpec],
    labels: Mapping[str, str] | None,
    envs: Mapping[str, str] | None,
    idle_ttl: DurationLike | None,
) -> pb.CreateSandboxRequest:
    """Encode a create. Without an id it gets one here, so that errors can name it."""
    yaml = _yaml(config_yaml)
    name = "" if image is None else _checks.text("image", image)
    if not name and not yaml:
        raise InvalidArgumentError('image is required: pass image="..." on every create_sandbox')
    required = _checks.items("required_services", required_services, ServiceSpec)
    optional = _checks.items("optional_services", optional_services, ServiceSpec)
    ttl = None if idle_ttl is None else to_timedelta("idle_ttl", idle_ttl)
    spec = pb.CreateSpec(
        image=name,
        mounts=map(encode_mount, _checks.items("mounts", mounts, MountSpec)),
        copies=map(encode_copy, _checks.items("copies", copies, CopySpec)),
        builtin_tools=_checks.texts("builtin_tools", builtin_tools),
        required_services=map(encode_service, required),
        optional_services=map(encode_service, optional),
        labels=_optional_mapping("labels", labels),
        envs=_optional_mapping("envs", envs),
        idle_ttl=encode_duration("idle_ttl", ttl),
    )
    return pb.CreateSandboxRequest(
        create_spec=spec, sandbox_id=_new_id("sandbox_id", sandbox_id), config_yaml=yaml
    )


def get_sandbox(sandbox_id: str) -> pb.GetSandboxRequest:
    """Encode a read of one sandbox."""
    return pb.GetSandboxRequest(sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id))


def list_sandboxes(
    include_deleted: bool, label_selector: Mapping[str, str] | None
) -> pb.ListSandboxesRequest:
    """Encode a list."""
    return pb.ListSandboxesRequest(
        include_deleted=_checks.boolean("include_deleted", include_deleted),
        label_selector=_optional_mapping("label_selector", label_selector),
    )


def resume_sandbox(sandbox_id: str) -> pb.ResumeSandboxRequest:
    """Encode a resume."""
    return pb.ResumeSandboxRequest(sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id))


def stop_sandbox(sandbox_id: str) -> pb.StopSandboxRequest:
    """Encode a stop."""
    return pb.StopSandboxRequest(sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id))


def delete_sandbox(sandbox_id: str) -> pb.DeleteSandboxRequest:
    """Encode a delete."""
    return pb.DeleteSandboxRequest(sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id))


def delete_sandboxes(label_selector: Mapping[str, str]) -> pb.DeleteSandboxesRequest:
    """Encode a delete by labels. An empty selector would mean all, and is refused."""
    selector = _checks.text_mapping("label_selector", label_selector)
    if not selector:
        raise InvalidArgumentError("label_selector must not be empty: name at least one label")
    return pb.DeleteSandboxesRequest(label_selector=selector)


def subscribe_sandbox_events(
    sandbox_id: str, from_sequence: int, include_current_snapshot: bool = False
) -> pb.SubscribeSandboxEventsRequest:
    """Encode a subscription."""
    return pb.SubscribeSandboxEventsRequest(
        sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id),
        from_sequence=_checks.integer("from_sequence", from_sequence, maximum=_UINT64_MAX),
        include_current_snapshot=_checks.boolean(
            "include_current_snapshot", include_current_snapshot
        ),
    )


def create_exec(
    *,
    sandbox_id: str,
    command: Sequence[str],
    exec_id: str | None,
    cwd: str | PathLike[str],
    env_overrides: Mapping[str, str] | None,
) -> pb.CreateExecRequest:
    """Encode an exec. Without an id it gets one here, so that errors can name it."""
    argv = _checks.texts("command", command)
    if not argv:
        raise InvalidArgumentError("command must not be empty: pass an argv, e.g. ('ls', '-l')")
    return pb.CreateExecRequest(
        sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id),
        command=argv,
        cwd=_checks.path("cwd", cwd),
        env_overrides=_optional_mapping("env_overrides", env_overrides),
        exec_id=_new_id("exec_id", exec_id),
    )


def cancel_exec(exec_id: str) -> pb.CancelExecRequest:
    """Encode a cancel."""
    return pb.CancelExecRequest(exec_id=_checks.lookup_id("exec_id", exec_id))


def get_exec(exec_id: str) -> pb.GetExecRequest:
    """Encode a read of one exec."""
    return pb.GetExecRequest(exec_id=_checks.lookup_id("exec_id", exec_id))


def list_active_execs(sandbox_id: str | None) -> pb.ListActiveExecsRequest:
    """Encode a list of running execs; None means those of all sandboxes."""
    if sandbox_id is None:
        return pb.ListActiveExecsRequest()
    return pb.ListActiveExecsRequest(sandbox_id=_checks.lookup_id("sandbox_id", sandbox_id))


def _new_id(name: str, value: str | None) -> str:
    return str(uuid.uuid4()) if value is None else _checks.new_id(name, value)


def _yaml(config_yaml: str | bytes | None) -> bytes:
    if config_yaml is None or isinstance(config_yaml, bytes):
        return config_yaml or b""
    if not isinstance(config_yaml, str):
        raise InvalidArgumentError(
            f"config_yaml must be str or bytes, not {type(config_yaml).__name__}"
        )
    return _checks.text("config_yaml", config_yaml).encode()


def _optional_mapping(name: str, values: Mapping[str, str] | None) -> Mapping[str, str]:
    return _checks.text_mapping(name, {} if values is None else values)
