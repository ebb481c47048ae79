"""Requests with ids and selectors: checked and encoded, equal in both wire dialects."""

from __future__ import annotations

from collections.abc import Mapping

from .._arguments import checks
from .._arguments.creates import NewExec
from . import v02_pb2 as pb


def ping() -> pb.PingRequest:
    """Encode `Ping`."""
    return pb.PingRequest()


def probe(config_yaml: str) -> pb.CreateSandboxRequest:
    """Encode a create that every daemon refuses, in both wire dialects."""
    return pb.CreateSandboxRequest(config_yaml=config_yaml.encode())


def get_sandbox(sandbox_id: str) -> pb.GetSandboxRequest:
    """Encode `GetSandbox`."""
    return pb.GetSandboxRequest(sandbox_id=checks.lookup_id("sandbox_id", sandbox_id))


def list_sandboxes(
    include_deleted: bool, label_selector: Mapping[str, str] | None
) -> pb.ListSandboxesRequest:
    """Encode `ListSandboxes`."""
    return pb.ListSandboxesRequest(
        include_deleted=checks.boolean("include_deleted", include_deleted),
        label_selector=checks.optional_mapping("label_selector", label_selector),
    )


def resume_sandbox(sandbox_id: str) -> pb.ResumeSandboxRequest:
    """Encode `ResumeSandbox`."""
    return pb.ResumeSandboxRequest(sandbox_id=checks.lookup_id("sandbox_id", sandbox_id))


def stop_sandbox(sandbox_id: str) -> pb.StopSandboxRequest:
    """Encode `StopSandbox`."""
    return pb.StopSandboxRequest(sandbox_id=checks.lookup_id("sandbox_id", sandbox_id))


def delete_sandbox(sandbox_id: str) -> pb.DeleteSandboxRequest:
    """Encode `DeleteSandbox`."""
    return pb.DeleteSandboxRequest(sandbox_id=checks.lookup_id("sandbox_id", sandbox_id))


def delete_sandboxes(label_selector: Mapping[str, str]) -> pb.DeleteSandboxesRequest:
    """Encode `DeleteSandboxes`."""
    return pb.DeleteSandboxesRequest(label_selector=checks.label_selector(label_selector))


def subscribe_sandbox_events(
    sandbox_id: str, from_sequence: int, include_current_snapshot: bool
) -> pb.SubscribeSandboxEventsRequest:
    """Encode `SubscribeSandboxEvents`; `EventSequence` has checked the arguments."""
    return pb.SubscribeSandboxEventsRequest(
        sandbox_id=sandbox_id,
        from_sequence=from_sequence,
        include_current_snapshot=include_current_snapshot,
    )


def create_exec(new: NewExec) -> pb.CreateExecRequest:
    """Encode `CreateExec`."""
    return pb.CreateExecRequest(
        sandbox_id=new.sandbox_id,
        command=new.command,
        cwd=new.cwd,
        env_overrides=new.env_overrides,
        exec_id=new.exec_id,
    )


def cancel_exec(exec_id: str) -> pb.CancelExecRequest:
    """Encode `CancelExec`."""
    return pb.CancelExecRequest(exec_id=checks.lookup_id("exec_id", exec_id))


def get_exec(exec_id: str) -> pb.GetExecRequest:
    """Encode `GetExec`."""
    return pb.GetExecRequest(exec_id=checks.lookup_id("exec_id", exec_id))


def list_active_execs(sandbox_id: str | None) -> pb.ListActiveExecsRequest:
    """Encode `ListActiveExecs`; None lists the execs of all sandboxes."""
    if sandbox_id is None:
        return pb.ListActiveExecsRequest()
    return pb.ListActiveExecsRequest(sandbox_id=checks.lookup_id("sandbox_id", sandbox_id))
