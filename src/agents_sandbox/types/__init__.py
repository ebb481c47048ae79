"""The models under the module name that the daemon project's own SDK has for them.

A package instead of a module, see `_other_sdk`.
"""

from .. import _other_sdk  # noqa: F401 - first: it refuses a mixed package
from .._specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from ..models import (
    CompanionContainerEventDetails,
    DeleteSandboxesResult,
    ExecEventDetails,
    ExecHandle,
    ExecState,
    PingInfo,
    SandboxEvent,
    SandboxEventType,
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
    "ExecState",
    "HealthcheckConfig",
    "MountSpec",
    "PingInfo",
    "PortMapping",
    "SandboxEvent",
    "SandboxEventType",
    "SandboxHandle",
    "SandboxPhaseDetails",
    "SandboxState",
    "ServiceEventDetails",
    "ServiceSpec",
]
