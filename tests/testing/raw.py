"""A bare gRPC client: the method table and a channel, without the SDK's client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.methods import Method
from agents_sandbox._wire.status_pb2 import ErrorInfo, Status
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol.profile import profile_for

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
TIMEOUT = 10.0


@dataclass(frozen=True)
class Refusal:
    """How an RPC failed."""

    code: str
    message: str
    reason: str | None = None
    domain: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def refusal(error: grpc.RpcError) -> Refusal:
    """Read the status of a failed call, with its details."""
    assert isinstance(error, grpc.Call)
    message = error.details() or ""
    trailers = {item.key: item.value for item in error.trailing_metadata() or ()}
    details = trailers.get("grpc-status-details-bin")
    if details is None:
        return Refusal(error.code().name, message)
    assert isinstance(details, bytes)
    status = Status.FromString(details)
    assert status.code == error.code().value[0]
    assert status.message == message
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/google.rpc.ErrorInfo"
    info = ErrorInfo.FromString(detail.value)
    return Refusal(error.code().name, message, info.reason, info.domain, dict(info.metadata))


def not_found(sandbox_id: str) -> Refusal:
    """How every RPC answers for an unknown sandbox."""
    return Refusal(
        "NOT_FOUND",
        f"sandbox {sandbox_id} was not found",
        "SANDBOX_NOT_FOUND",
        "agents-sandbox",
        {"sandbox_id": sandbox_id},
    )


def name(event: pb.SandboxEvent) -> str:
    """The event's type, with its state if it has one."""
    kind = pb.EventType.Name(event.event_type)
    if not event.sandbox_state:
        return kind
    return f"{kind}:{pb.SandboxState.Name(event.sandbox_state).removeprefix('SANDBOX_STATE_')}"


class Raw:
    """Calls one daemon."""

    def __init__(self, daemon: FakeDaemon, channel: grpc.Channel) -> None:
        self.daemon = daemon
        self._channel = channel
        dialect = profile_for(daemon.version).dialect
        self._methods = {method.name: method for method in dialect.methods}

    def __call__(self, method: Method[Any, Any], **fields: Any) -> Any:
        """Make a unary call in the daemon's dialect, whatever the method's dialect is."""
        return self._call(TIMEOUT, method, fields)

    def begin(self, method: Method[Any, Any], **fields: Any) -> Any:
        """Begin a unary call and return it while it is in progress."""
        return self._stub(method).future(self._request(method, fields), timeout=TIMEOUT)

    def _call(self, timeout: float, method: Method[Any, Any], fields: dict[str, Any]) -> Any:
        return self._stub(method)(self._request(method, fields), timeout=timeout)

    def _request(self, method: Method[Any, Any], fields: dict[str, Any]) -> Any:
        return self._methods[method.name].request_type(**fields)

    def _stub(self, method: Method[Any, Any]) -> Any:
        method = self._methods[method.name]
        return self._channel.unary_unary(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=method.response_type.FromString,
        )

    def refused_in(self, timeout: float, method: Method[Any, Any], **fields: Any) -> str:
        """Make a unary call that must fail within a timeout; return the code."""
        with pytest.raises(grpc.RpcError) as caught:
            self._call(timeout, method, fields)
        return refusal(caught.value).code

    def refused(self, method: Method[Any, Any], **fields: Any) -> Refusal:
        """Make a unary call that must fail."""
        try:
            answer = self(method, **fields)
        except grpc.RpcError as error:
            return refusal(error)
        raise AssertionError(f"{method.name} was accepted: {answer}")

    def why_refused(self, sandbox_id: str = "box-1", **spec: Any) -> str:
        """Request a sandbox that must be refused as invalid, without error details."""
        create_spec = {"image": IMAGE, **spec}
        refused = self.refused(
            methods.CREATE_SANDBOX, sandbox_id=sandbox_id, create_spec=create_spec
        )
        assert refused == Refusal("INVALID_ARGUMENT", refused.message)
        return refused.message

    def create(self, sandbox_id: str = "box-1", **spec: Any) -> Any:
        """Create a sandbox."""
        create_spec = {"image": IMAGE, **spec}
        return self(methods.CREATE_SANDBOX, sandbox_id=sandbox_id, create_spec=create_spec).sandbox

    def ready(self, sandbox_id: str = "box-1", **spec: Any) -> Any:
        """Create a sandbox and wait until it is ready."""
        self.create(sandbox_id, **spec)
        self.wait_for(pb.SANDBOX_READY, sandbox_id)
        return self.get(sandbox_id)

    def get(self, sandbox_id: str = "box-1") -> Any:
        """Read a sandbox."""
        return self(methods.GET_SANDBOX, sandbox_id=sandbox_id).sandbox

    def start(self, *command: str, exec_id: str = "exec-1", **fields: Any) -> Any:
        """Create an exec in the default sandbox."""
        fields = {"sandbox_id": "box-1", "command": command or ("true",), **fields}
        return self(methods.CREATE_EXEC, exec_id=exec_id, **fields)

    def exec(self, exec_id: str = "exec-1") -> Any:
        """Read an exec."""
        return self(methods.GET_EXEC, exec_id=exec_id).exec

    def finished(self, exec_id: str = "exec-1", sandbox_id: str = "box-1") -> Any:
        """Wait until an exec has ended."""
        ends = (pb.EXEC_FINISHED, pb.EXEC_FAILED, pb.EXEC_CANCELLED)
        self._follow(
            sandbox_id, lambda event: event.event_type in ends and event.exec.exec_id == exec_id
        )
        return self.exec(exec_id)

    @contextmanager
    def stream(self, sandbox_id: str = "box-1", **fields: Any) -> Iterator[Any]:
        """Open an event stream and close it when the block ends."""
        method = methods.SUBSCRIBE_SANDBOX_EVENTS
        call = self._channel.unary_stream(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=method.response_type.FromString,
        )(method.request_type(sandbox_id=sandbox_id, **fields), timeout=TIMEOUT)
        try:
            yield call
        finally:
            call.cancel()

    def wait_for(
        self, event_type: pb.EventType, sandbox_id: str = "box-1", *, count: int = 1
    ) -> list[pb.SandboxEvent]:
        """Wait for the n-th event of a type; return all events up to it."""
        seen = 0

        def enough(event: pb.SandboxEvent) -> bool:
            nonlocal seen
            seen += event.event_type == event_type
            return seen == count

        return self._follow(sandbox_id, enough)

    def history(self, sandbox_id: str = "box-1") -> list[str]:
        """Return the names of all events so far."""
        head = self.get(sandbox_id).last_event_sequence
        return [name(e) for e in self._follow(sandbox_id, lambda event: event.sequence == head)]

    def _follow(
        self, sandbox_id: str, enough: Callable[[pb.SandboxEvent], bool]
    ) -> list[pb.SandboxEvent]:
        events = []
        with self.stream(sandbox_id) as stream:
            for event in stream:
                events.append(event)
                if enough(event):
                    return events
        raise AssertionError("the stream ended")


@contextmanager
def connected(daemon: FakeDaemon) -> Iterator[Raw]:
    """Connect to a running daemon."""
    options = [("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"unix:{daemon.socket_path}", options=options) as channel:
        yield Raw(daemon, channel)
