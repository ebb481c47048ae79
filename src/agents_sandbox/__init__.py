"""Python SDK for the agents-sandbox daemon.

`AgentsSandboxClient` is the async client, `SyncAgentsSandboxClient` the blocking one. They share
all models, enums and errors.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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
from ._output.result import ExecResult
from ._sync_generated import SyncAgentsSandboxClient, SyncSandboxEventStream
from ._version import __version__
from .errors import (
    ClientClosedError,
    ClientLoopError,
    DaemonError,
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecFailedError,
    ExecNotFoundError,
    ExecNotRunningError,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    OperationTimeoutError,
    OutputUnavailableError,
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

if TYPE_CHECKING:
    from ._async._execs.output import ExecOutput
    from ._async._execs.process import ExecProcess
    from ._async._sandboxes.sandbox import Sandbox
    from ._output.chunk import OutputChunk
    from ._sync_generated._execs.output import SyncExecOutput
    from ._sync_generated._execs.process import SyncExecProcess
    from ._sync_generated._sandboxes.sandbox import SyncSandbox

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
    "ExecFailedError",
    "ExecHandle",
    "ExecNotFoundError",
    "ExecNotRunningError",
    "ExecOutput",
    "ExecProcess",
    "ExecResult",
    "ExecState",
    "HealthcheckConfig",
    "InvalidArgumentError",
    "InvalidArgumentTypeError",
    "MountSpec",
    "OperationTimeoutError",
    "OutputChunk",
    "OutputUnavailableError",
    "PingInfo",
    "PortMapping",
    "ProtocolError",
    "Sandbox",
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
    "SyncExecOutput",
    "SyncExecProcess",
    "SyncSandbox",
    "SyncSandboxEventStream",
    "UnsupportedByDaemonError",
    "UnsupportedDaemonError",
    "__version__",
]

# What not every program needs loads on first use (PEP 562). Type checkers know these names from the
# imports above.
_ON_FIRST_USE = {
    "ExecOutput": "._async._execs.output",
    "ExecProcess": "._async._execs.process",
    "OutputChunk": "._output.chunk",
    "Sandbox": "._async._sandboxes.sandbox",
    "SyncExecOutput": "._sync_generated._execs.output",
    "SyncExecProcess": "._sync_generated._execs.process",
    "SyncSandbox": "._sync_generated._sandboxes.sandbox",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _ON_FIRST_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(_ON_FIRST_USE[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


# Tracebacks, reprs and pickles show these classes under the package's name, not under the private
# modules that define them.
for _public in [globals()[_name] for _name in __all__ if _name not in _ON_FIRST_USE]:
    if isinstance(_public, type):
        _public.__module__ = __name__
