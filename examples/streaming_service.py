"""A service that streams the output of commands, and ends those whose callers go away.

A caller connects, as with `nc 127.0.0.1 8907`, sends one line, a shell command, and reads the
output until the service closes the connection. It must not close its own side before: asyncio
cannot tell that from a caller who has gone.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agents_sandbox import AgentsSandboxClient, Sandbox, SandboxClientError

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
PORT = 8907


async def answer(
    sandbox: Sandbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        line = (await reader.readline()).decode(errors="replace")
    except ValueError:
        return  # no line ends within asyncio's limit of 64 KiB
    watching = asyncio.create_task(cancel_when_gone(this_task(), reader))
    try:
        # However the block is left, the command has ended then. One that has redirected all its
        # output cannot be killed: a warning says that it may run until the sandbox is deleted.
        async with sandbox.start(("sh", "-c", line.strip())) as process:
            async for chunk in process.output():
                writer.write(chunk.data)
                await writer.drain()
        writer.write(f"exit code {process.exit_code}\n".encode())
    except SandboxClientError as error:
        writer.write(f"{error}\n".encode())
    finally:
        watching.cancel()


async def cancel_when_gone(task: "asyncio.Task[None]", reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(1024):
            pass
    task.cancel()


def this_task() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    assert task is not None
    return task


@asynccontextmanager
async def serving(sandbox: Sandbox, port: int) -> AsyncIterator[asyncio.Server]:
    tasks = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = this_task()
        tasks.add(task)
        try:
            await answer(sandbox, reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass  # the caller has gone, or the service ends
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield server
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)  # before the sandbox and the client end


async def main() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this_task().cancel)
    async with (
        AgentsSandboxClient() as client,
        client.sandbox(image=IMAGE) as sandbox,
        serving(sandbox, PORT),
    ):
        print(f"listening at port {PORT}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(main())
