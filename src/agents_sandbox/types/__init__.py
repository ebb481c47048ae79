"""The models under the module name that the daemon project's own SDK has for them.

A package instead of a module, see `_surroundings/other_sdk.py`.
"""

from .. import _surroundings  # noqa: F401 - first: it refuses a mixed package
from .._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from .._output.result import ExecResult
from ..models import (
    CompanionContainerEventDetails,
    DeleteSandboxesResult,
    ExecEventDetails,
    ExecHandle,
    ExecState,
    PingInfo,
    SandboxEvent,
    SandboxEventType,
    SandboxFileInfo,
    SandboxHandle,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
)

__all__ = [
    "CompanionContainerEventDetails",
    "CompanionContainerSpec",
    "CopySpec",
    "DeleteSandboxesResult",
    "ExecEventDetails",
    "ExecHandle",
    "ExecResult",
    "ExecState",
    "HealthcheckConfig",
    "MountSpec",
    "PingInfo",
    "PortMapping",
    "SandboxEvent",
    "SandboxEventType",
    "SandboxFileInfo",
    "SandboxHandle",
    "SandboxPhaseDetails",
    "SandboxState",
    "ServiceEventDetails",
    "ServiceSpec",
]
