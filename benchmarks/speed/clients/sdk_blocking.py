"""Our blocking client."""

from __future__ import annotations

from agents_sandbox import PingInfo, SandboxHandle, SyncAgentsSandboxClient

from ..facts import EVENTS_ID, SANDBOX_ID, TIMEOUT
from .obeying import obey


class Sdk:
    """What a program with the SDK does.

    Args:
        client: The client.
    """

    def __init__(self, client: SyncAgentsSandboxClient) -> None:
        self._client = client

    def ping(self) -> PingInfo:
        """Ping."""
        return self._client.ping()

    def get_sandbox(self) -> SandboxHandle:
        """Read a sandbox with services and labels."""
        return self._client.get_sandbox(SANDBOX_ID)

    def list_sandboxes(self) -> list[SandboxHandle]:
        """Read many sandboxes."""
        return self._client.list_sandboxes()

    def read_events(self, count: int) -> None:
        """Read the first events of a sandbox."""
        events = self._client.subscribe_sandbox_events(EVENTS_ID, from_sequence=0)
        try:
            for event in events:
                if event.sequence == count:
                    return
        finally:
            events.close()


def main() -> None:
    """Obey."""
    with SyncAgentsSandboxClient(
        timeout_seconds=TIMEOUT, operation_timeout_seconds=TIMEOUT
    ) as client:
        sdk = Sdk(client)
        obey(
            {
                "ping": sdk.ping,
                "get_sandbox": sdk.get_sandbox,
                "list_sandboxes": sdk.list_sandboxes,
                "read_events": sdk.read_events,
            }
        )


if __name__ == "__main__":
    main()
