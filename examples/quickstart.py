"""The life cycle of a sandbox: create it, run a command, read the events, delete it.

Uses the daemon at the default socket. If none answers, the SDK's own fake daemon stands in
and runs the command on this machine.
"""

import asyncio
from pathlib import Path

from agents_sandbox import AgentsSandboxClient, DaemonUnavailableError
from agents_sandbox.testing import FakeDaemon

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


async def live(client: AgentsSandboxClient) -> None:
    sandbox = await client.create_sandbox(image=IMAGE)
    print(f"sandbox {sandbox.sandbox_id} is {sandbox.state.name}")
    try:
        result = await client.run(sandbox.sandbox_id, ("sh", "-c", "echo hello from $(uname)"))
        print(
            f"exit code {result.exit_code}: {Path(result.stdout_log_path or '').read_text()}",
            end="",
        )
        async for event in client.subscribe_sandbox_events(sandbox.sandbox_id):
            print(f"event {event.sequence}: {event.event_type.name}")
            if event.sequence >= result.last_event_sequence:
                break
    finally:
        deleted = await client.delete_sandbox(sandbox.sandbox_id)
        print(f"sandbox {deleted.sandbox_id} is {deleted.state.name}")


async def main() -> None:
    async with AgentsSandboxClient() as client:
        try:
            daemon = await client.ping()
        except DaemonUnavailableError as error:
            print(f"{error}\nInstead, the fake daemon stands in:")
            await live_with_the_fake_daemon()
        else:
            print(f"{daemon.daemon} {daemon.version} answers:")
            await live(client)


async def live_with_the_fake_daemon() -> None:
    with FakeDaemon(exec_mode="auto") as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            await live(client)


if __name__ == "__main__":
    asyncio.run(main())
