"""`AgentsSandboxClient` under the module name that the daemon project's own SDK has for it.

A package instead of a module, see `_surroundings/other_sdk.py`.
"""

from .._surroundings import other_sdk  # noqa: F401 - first: it refuses a mixed package

# isort: split
from .._async._client import AgentsSandboxClient

__all__ = ["AgentsSandboxClient"]
