"""The client, written once: its blocking twin is generated from this package."""

from ._client import AgentsSandboxClient
from ._events import AsyncSandboxEventStream

__all__ = ["AgentsSandboxClient", "AsyncSandboxEventStream"]
