"""The life of a sandbox: create it, write a file, run a command, read the events, delete it.

Uses the daemon at the default socket. If none answers, the SDK's own fake daemon stands in
and runs the command on this machine.
"""

import asyncio

from agents_sandbox import AgentsSandboxClient, DaemonUnavailableError
from agents_sandbox.testing import FakeDaemon

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


async def live(client: AgentsSandboxClient) -> None:
    async with client.sandbox(image=IMAGE) as sandbox:
        print(sandbox)
        await sandbox.files.write_text("hello.sh", "echo hello from $(uname)")
        result = await sandbox.run(("sh", "hello.sh"))
        print(f"exit code {result.exit_code}: {result.stdout}", end="")
        async for event in sandbox.events():
            print(f"event {event.sequence}: {event.event_type.name}")
            if event.sequence >= result.last_event_sequence:
                break
    print(f"sandbox {sandbox.id} was deleted")


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
