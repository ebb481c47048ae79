"""`AgentsSandboxClient` under the module name that the daemon project's own SDK has for it.

A package instead of a module, see `_surroundings/other_sdk.py`.
"""

from .. import _surroundings  # noqa: F401 - first: it refuses a mixed package
from .._async._client import AgentsSandboxClient

__all__ = ["AgentsSandboxClient"]
