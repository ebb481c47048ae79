"""`AgentsSandboxClient` under the module name that the daemon project's own SDK has for it.

A package instead of a module, see `_other_sdk`.
"""

from .. import _other_sdk  # noqa: F401 - first: it refuses a mixed package
from .._async._client import AgentsSandboxClient

__all__ = ["AgentsSandboxClient"]
