"""The async client: ours, or the published peer, which has the same import name and calls."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from agents_sandbox import AgentsSandboxClient

from ..facts import EVENTS_ID, IMAGE, SANDBOX_ID, TIMEOUT, TOGETHER
from .obeying import obey_in_loop


class Sdk:
    """What a program with an SDK does.

    Args:
        client: The client.
    """

    def __init__(self, client: AgentsSandboxClient) -> None:
        self._client = client

    async def ping(self) -> Any:
        """Ping."""
        return await self._client.ping()

    async def get_sandbox(self) -> Any:
        """Read a sandbox with services and labels."""
        return await self._client.get_sandbox(SANDBOX_ID)

    async def list_sandboxes(self) -> Any:
        """Read many sandboxes."""
        return await self._client.list_sandboxes()

    async def read_events(self, count: int) -> None:
        """Read the first events of a sandbox."""
        events = self._client.subscribe_sandbox_events(EVENTS_ID, from_sequence=0)
        try:
            async for event in events:
                if event.sequence == count:
                    return
        finally:
            await events.aclose()

    async def create_sandbox(self) -> Any:
        """Create a sandbox and wait until it is READY."""
        return await self._client.create_sandbox(image=IMAGE)

    async def run_execs(self, together: int) -> None:
        """Run many commands in one sandbox at once."""
        sandbox_id = f"execs-{uuid.uuid4()}"
        variables = {TOGETHER: str(together)}
        await asyncio.gather(
            *(
                self._client.run(sandbox_id, ("true",), env_overrides=variables)
                for _ in range(together)
            )
        )


async def main() -> None:
    """Obey."""
    async with AgentsSandboxClient(
        timeout_seconds=TIMEOUT, operation_timeout_seconds=TIMEOUT
    ) as client:
        sdk = Sdk(client)
        await obey_in_loop(
            {
                "ping": sdk.ping,
                "get_sandbox": sdk.get_sandbox,
                "list_sandboxes": sdk.list_sandboxes,
                "read_events": sdk.read_events,
                "create_sandbox": sdk.create_sandbox,
                "run_execs": sdk.run_execs,
            }
        )


if __name__ == "__main__":
    asyncio.run(main())
