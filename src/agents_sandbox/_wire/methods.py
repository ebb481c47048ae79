"""The method table of `agbox.v1.SandboxService`, in place of a generated stub.

A table keeps the SDK clear of the generated stub's grpcio version gate and
serves the client, the fake daemon and the tests alike. There is one for each wire
dialect: paths and names are equal, and but for three methods the messages are, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from . import v02_pb2 as pb
from . import v04_pb2 as v04

SERVICE = "agbox.v1.SandboxService"

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True)
class Method(Generic[RequestT, ResponseT]):
    """One RPC.

    Attributes:
        name: Its name.
        request_type: The message that asks.
        response_type: The message that answers.
        streams: Whether the answer is a stream of them.
        repeatable: Whether to ask twice does no more than to ask once, and is answered alike.
    """

    name: str
    request_type: type[RequestT]
    response_type: type[ResponseT]
    streams: bool = False
    repeatable: bool = False

    @property
    def path(self) -> str:
        """The full path that gRPC sends, e.g. `/agbox.v1.SandboxService/Ping`."""
        return f"/{SERVICE}/{self.name}"


PING = Method("Ping", pb.PingRequest, pb.PingResponse, repeatable=True)
CREATE_SANDBOX = Method("CreateSandbox", pb.CreateSandboxRequest, pb.CreateSandboxResponse)
GET_SANDBOX = Method("GetSandbox", pb.GetSandboxRequest, pb.GetSandboxResponse, repeatable=True)
LIST_SANDBOXES = Method(
    "ListSandboxes", pb.ListSandboxesRequest, pb.ListSandboxesResponse, repeatable=True
)
RESUME_SANDBOX = Method("ResumeSandbox", pb.ResumeSandboxRequest, pb.AcceptedResponse)
STOP_SANDBOX = Method("StopSandbox", pb.StopSandboxRequest, pb.AcceptedResponse)
DELETE_SANDBOX = Method(
    "DeleteSandbox", pb.DeleteSandboxRequest, pb.AcceptedResponse, repeatable=True
)
DELETE_SANDBOXES = Method("DeleteSandboxes", pb.DeleteSandboxesRequest, pb.DeleteSandboxesResponse)
SUBSCRIBE_SANDBOX_EVENTS = Method(
    "SubscribeSandboxEvents", pb.SubscribeSandboxEventsRequest, pb.SandboxEvent, streams=True
)
CREATE_EXEC = Method("CreateExec", pb.CreateExecRequest, pb.CreateExecResponse)
CANCEL_EXEC = Method("CancelExec", pb.CancelExecRequest, pb.AcceptedResponse)
GET_EXEC = Method("GetExec", pb.GetExecRequest, pb.GetExecResponse, repeatable=True)
LIST_ACTIVE_EXECS = Method(
    "ListActiveExecs", pb.ListActiveExecsRequest, pb.ListActiveExecsResponse, repeatable=True
)

METHODS_V02: tuple[Method[Any, Any], ...] = (
    PING,
    CREATE_SANDBOX,
    GET_SANDBOX,
    LIST_SANDBOXES,
    RESUME_SANDBOX,
    STOP_SANDBOX,
    DELETE_SANDBOX,
    DELETE_SANDBOXES,
    SUBSCRIBE_SANDBOX_EVENTS,
    CREATE_EXEC,
    CANCEL_EXEC,
    GET_EXEC,
    LIST_ACTIVE_EXECS,
)

CREATE_SANDBOX_V04 = Method("CreateSandbox", v04.CreateSandboxRequest, v04.CreateSandboxResponse)
GET_SANDBOX_V04 = Method(
    "GetSandbox", pb.GetSandboxRequest, v04.GetSandboxResponse, repeatable=True
)
LIST_SANDBOXES_V04 = Method(
    "ListSandboxes", pb.ListSandboxesRequest, v04.ListSandboxesResponse, repeatable=True
)

_CHANGED: dict[Method[Any, Any], Method[Any, Any]] = {
    CREATE_SANDBOX: CREATE_SANDBOX_V04,
    GET_SANDBOX: GET_SANDBOX_V04,
    LIST_SANDBOXES: LIST_SANDBOXES_V04,
}
METHODS_V04 = tuple(_CHANGED.get(method, method) for method in METHODS_V02)
