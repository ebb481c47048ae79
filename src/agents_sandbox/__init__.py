"""Python SDK for the agents-sandbox daemon.

`AgentsSandboxClient` is the async client, `SyncAgentsSandboxClient` the blocking one. They share
all models, enums and errors.
"""

from . import _surroundings  # noqa: F401 - first: it refuses a mixed package
from ._arguments.durations import DurationLike
from ._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from ._async import AgentsSandboxClient, AsyncSandboxEventStream
from ._enums import ExecState, SandboxEventType, SandboxState
from ._sync_generated import SyncAgentsSandboxClient, SyncSandboxEventStream
from ._version import __version__
from .errors import (
    ClientClosedError,
    ClientLoopError,
    DaemonError,
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecNotFoundError,
    ExecNotRunningError,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxConflictError,
    SandboxFailedError,
    SandboxInvalidStateError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxSequenceExpiredError,
    UnsupportedByDaemonError,
    UnsupportedDaemonError,
)
from .models import (
    CompanionContainerEventDetails,
    DeleteSandboxesResult,
    ExecEventDetails,
    ExecHandle,
    PingInfo,
    SandboxEvent,
    SandboxHandle,
    SandboxPhaseDetails,
    ServiceEventDetails,
)

__all__ = [
    "AgentsSandboxClient",
    "AsyncSandboxEventStream",
    "ClientClosedError",
    "ClientLoopError",
    "CompanionContainerEventDetails",
    "CompanionContainerSpec",
    "CopySpec",
    "DaemonError",
    "DaemonUnavailableError",
    "DeleteSandboxesResult",
    "DurationLike",
    "ExecAlreadyTerminalError",
    "ExecConflictError",
    "ExecEventDetails",
    "ExecHandle",
    "ExecNotFoundError",
    "ExecNotRunningError",
    "ExecState",
    "HealthcheckConfig",
    "InvalidArgumentError",
    "InvalidArgumentTypeError",
    "MountSpec",
    "OperationTimeoutError",
    "PingInfo",
    "PortMapping",
    "ProtocolError",
    "SandboxClientError",
    "SandboxConflictError",
    "SandboxEvent",
    "SandboxEventType",
    "SandboxFailedError",
    "SandboxHandle",
    "SandboxInvalidStateError",
    "SandboxNotFoundError",
    "SandboxNotReadyError",
    "SandboxPhaseDetails",
    "SandboxSequenceExpiredError",
    "SandboxState",
    "ServiceEventDetails",
    "ServiceSpec",
    "SyncAgentsSandboxClient",
    "SyncSandboxEventStream",
    "UnsupportedByDaemonError",
    "UnsupportedDaemonError",
    "__version__",
]

# Tracebacks, reprs and pickles show these classes under the package's name, not under the private
# modules that define them.
for _public in [globals()[_name] for _name in __all__]:
    if isinstance(_public, type):
        _public.__module__ = __name__
