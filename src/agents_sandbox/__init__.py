"""Python SDK for the agents-sandbox daemon.

`AgentsSandboxClient` is the async client, `SyncAgentsSandboxClient` the blocking one. They share
all models, enums and errors.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from . import _surroundings  # noqa: F401 - first: it refuses a mixed package
from ._arguments.durations import DurationLike
from ._arguments.ids import ExecIdLike, SandboxIdLike
from ._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from ._enums import ExecState, SandboxEventType, SandboxState
from ._surroundings.forks import LOADING as _LOADING
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
    ExecNotKilledError,
    ExecNotRunningError,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    OperationTimeoutError,
    OutputUnavailableError,
    ProtocolError,
    SandboxClientError,
    SandboxConflictError,
    SandboxFailedError,
    SandboxFileError,
    SandboxFileExistsError,
    SandboxFileNotFoundError,
    SandboxFilePermissionError,
    SandboxInvalidStateError,
    SandboxIsADirectoryError,
    SandboxLeftoverWarning,
    SandboxNotADirectoryError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxSequenceExpiredError,
    SandboxToolMissingError,
    ScopeClosedError,
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
    SandboxFileInfo,
    SandboxHandle,
    SandboxPhaseDetails,
    ServiceEventDetails,
)

if TYPE_CHECKING:
    from ._arguments.sandbox_paths import SandboxPathLike
    from ._async._client import AgentsSandboxClient
    from ._async._events import AsyncSandboxEventStream
    from ._async._execs.output import ExecOutput
    from ._async._execs.process import ExecProcess
    from ._async._sandboxes.files import SandboxFiles
    from ._async._sandboxes.lifetime import SandboxLifetime
    from ._async._sandboxes.pool import PooledSandbox, SandboxPool
    from ._async._sandboxes.sandbox import Sandbox
    from ._async._sandboxes.scope import SandboxScope
    from ._output.chunk import OutputChunk
    from ._output.result import ExecResult
    from ._pictures.table import Table, table
    from ._pictures.timeline import Timeline, timeline
    from ._progress import progress
    from ._sync_generated._client import SyncAgentsSandboxClient
    from ._sync_generated._events import SyncSandboxEventStream
    from ._sync_generated._execs.output import SyncExecOutput
    from ._sync_generated._execs.process import SyncExecProcess
    from ._sync_generated._sandboxes.files import SyncSandboxFiles
    from ._sync_generated._sandboxes.lifetime import SyncSandboxLifetime
    from ._sync_generated._sandboxes.pool import SyncPooledSandbox, SyncSandboxPool
    from ._sync_generated._sandboxes.sandbox import SyncSandbox
    from ._sync_generated._sandboxes.scope import SyncSandboxScope

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
    "ExecIdLike",
    "ExecNotFoundError",
    "ExecNotKilledError",
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
    "PooledSandbox",
    "PortMapping",
    "ProtocolError",
    "Sandbox",
    "SandboxClientError",
    "SandboxConflictError",
    "SandboxEvent",
    "SandboxEventType",
    "SandboxFailedError",
    "SandboxFileError",
    "SandboxFileExistsError",
    "SandboxFileInfo",
    "SandboxFileNotFoundError",
    "SandboxFilePermissionError",
    "SandboxFiles",
    "SandboxHandle",
    "SandboxIdLike",
    "SandboxInvalidStateError",
    "SandboxIsADirectoryError",
    "SandboxLeftoverWarning",
    "SandboxLifetime",
    "SandboxNotADirectoryError",
    "SandboxNotFoundError",
    "SandboxNotReadyError",
    "SandboxPathLike",
    "SandboxPhaseDetails",
    "SandboxPool",
    "SandboxScope",
    "SandboxSequenceExpiredError",
    "SandboxState",
    "SandboxToolMissingError",
    "ScopeClosedError",
    "ServiceEventDetails",
    "ServiceSpec",
    "SyncAgentsSandboxClient",
    "SyncExecOutput",
    "SyncExecProcess",
    "SyncPooledSandbox",
    "SyncSandbox",
    "SyncSandboxEventStream",
    "SyncSandboxFiles",
    "SyncSandboxLifetime",
    "SyncSandboxPool",
    "SyncSandboxScope",
    "Table",
    "Timeline",
    "UnsupportedByDaemonError",
    "UnsupportedDaemonError",
    "__version__",
    "progress",
    "table",
    "timeline",
]

# What not every program needs loads on first use (PEP 562): one flavour is enough, and models and
# errors need no gRPC. Type checkers know these names from the imports above.
_ON_FIRST_USE = {
    "AgentsSandboxClient": "._async._client",
    "AsyncSandboxEventStream": "._async._events",
    "ExecOutput": "._async._execs.output",
    "ExecProcess": "._async._execs.process",
    "ExecResult": "._output.result",
    "OutputChunk": "._output.chunk",
    "PooledSandbox": "._async._sandboxes.pool",
    "Sandbox": "._async._sandboxes.sandbox",
    "SandboxFiles": "._async._sandboxes.files",
    "SandboxLifetime": "._async._sandboxes.lifetime",
    "SandboxPathLike": "._arguments.sandbox_paths",
    "SandboxPool": "._async._sandboxes.pool",
    "SandboxScope": "._async._sandboxes.scope",
    "SyncAgentsSandboxClient": "._sync_generated._client",
    "SyncExecOutput": "._sync_generated._execs.output",
    "SyncExecProcess": "._sync_generated._execs.process",
    "SyncPooledSandbox": "._sync_generated._sandboxes.pool",
    "SyncSandbox": "._sync_generated._sandboxes.sandbox",
    "SyncSandboxEventStream": "._sync_generated._events",
    "SyncSandboxFiles": "._sync_generated._sandboxes.files",
    "SyncSandboxLifetime": "._sync_generated._sandboxes.lifetime",
    "SyncSandboxPool": "._sync_generated._sandboxes.pool",
    "SyncSandboxScope": "._sync_generated._sandboxes.scope",
    "Table": "._pictures.table",
    "Timeline": "._pictures.timeline",
    "progress": "._progress",
    "table": "._pictures.table",
    "timeline": "._pictures.timeline",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _ON_FIRST_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        with _LOADING:
            value = getattr(_import_module(_ON_FIRST_USE[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


del TYPE_CHECKING  # it is no public name

# Tracebacks, reprs and pickles show these classes under the package's name, not under the private
# modules that define them.
for _public in [globals()[_name] for _name in __all__ if _name not in _ON_FIRST_USE]:
    if isinstance(_public, type):
        _public.__module__ = __name__
