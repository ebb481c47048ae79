"""The method table of `agbox.v1.SandboxService`, in place of a generated stub.

A generated stub would only work with the newest grpcio. The table also serves the fake daemon
and the tests. Each wire dialect has its own; paths, names and most messages are equal, and only
three methods have different messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from . import v02_pb2 as pb
from . import v04_pb2 as v04

SERVICE = "agbox.v1.SandboxService"

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(eq=False)
class Method(Generic[RequestT, ResponseT]):
    """One RPC.

    Attributes:
        name: Its name.
        request_type: The message of the request.
        response_type: The message of the answer.
        streams: Whether the answer is a stream of such messages.
        path: The full path that gRPC sends, e.g. `/agbox.v1.SandboxService/Ping`.
    """

    name: str
    request_type: type[RequestT]
    response_type: type[ResponseT]
    streams: bool = False

    def __post_init__(self) -> None:
        self.path: str = f"/{SERVICE}/{self.name}"

    @property
    def call(self) -> str:
        """The client's method for it, e.g. `delete_sandbox`, which messages name."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).lower()


PING = Method("Ping", pb.PingRequest, pb.PingResponse)
CREATE_SANDBOX = Method("CreateSandbox", pb.CreateSandboxRequest, pb.CreateSandboxResponse)
GET_SANDBOX = Method("GetSandbox", pb.GetSandboxRequest, pb.GetSandboxResponse)
LIST_SANDBOXES = Method("ListSandboxes", pb.ListSandboxesRequest, pb.ListSandboxesResponse)
RESUME_SANDBOX = Method("ResumeSandbox", pb.ResumeSandboxRequest, pb.AcceptedResponse)
STOP_SANDBOX = Method("StopSandbox", pb.StopSandboxRequest, pb.AcceptedResponse)
DELETE_SANDBOX = Method("DeleteSandbox", pb.DeleteSandboxRequest, pb.AcceptedResponse)
DELETE_SANDBOXES = Method("DeleteSandboxes", pb.DeleteSandboxesRequest, pb.DeleteSandboxesResponse)
SUBSCRIBE_SANDBOX_EVENTS = Method(
    "SubscribeSandboxEvents", pb.SubscribeSandboxEventsRequest, pb.SandboxEvent, streams=True
)
CREATE_EXEC = Method("CreateExec", pb.CreateExecRequest, pb.CreateExecResponse)
CANCEL_EXEC = Method("CancelExec", pb.CancelExecRequest, pb.AcceptedResponse)
GET_EXEC = Method("GetExec", pb.GetExecRequest, pb.GetExecResponse)
LIST_ACTIVE_EXECS = Method("ListActiveExecs", pb.ListActiveExecsRequest, pb.ListActiveExecsResponse)

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
GET_SANDBOX_V04 = Method("GetSandbox", pb.GetSandboxRequest, v04.GetSandboxResponse)
LIST_SANDBOXES_V04 = Method("ListSandboxes", pb.ListSandboxesRequest, v04.ListSandboxesResponse)

_CHANGED: dict[Method[Any, Any], Method[Any, Any]] = {
    CREATE_SANDBOX: CREATE_SANDBOX_V04,
    GET_SANDBOX: GET_SANDBOX_V04,
    LIST_SANDBOXES: LIST_SANDBOXES_V04,
}
METHODS_V04 = tuple(_CHANGED.get(method, method) for method in METHODS_V02)
