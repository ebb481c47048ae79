"""Arguments to requests: checked, then encoded, before anything is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from os import PathLike

from .. import _checks
from ..errors import InvalidArgumentError
from . import v02_pb2 as pb

_UINT64_MAX = 2**64 - 1


def ping() -> pb.PingRequest:
    """Encode a ping."""
    return pb.PingRequest()


def probe(config_yaml: str) -> pb.CreateSandboxRequest:
    """Encode a create that no daemon can accept, equal in both wire dialects."""
    return pb.CreateSandboxRequest(config_yaml=config_yaml.encode())


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
        exec_id=new_id("exec_id", exec_id),
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


def new_id(name: str, value: str | None) -> str:
    """Check the id of something new; None is given one."""
    return str(uuid.uuid4()) if value is None else _checks.new_id(name, value)


def _optional_mapping(name: str, values: Mapping[str, str] | None) -> Mapping[str, str]:
    return _checks.text_mapping(name, {} if values is None else values)
