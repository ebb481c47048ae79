"""A service that streams the output of commands, and ends those whose callers hang up.

It needs FastAPI 0.118 or newer, and a server such as uvicorn:

    uvicorn asgi_service:app
    curl --no-buffer --json '{"command": "make test"}' http://127.0.0.1:8000/run
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from agents_sandbox import (
    AgentsSandboxClient,
    ExecProcess,
    InvalidArgumentError,
    SandboxClientError,
)

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
READY_SANDBOXES = 2
COMMAND_SECONDS = 600


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with AgentsSandboxClient() as client, client.pool(READY_SANDBOXES, image=IMAGE) as pool:
        yield {"pool": pool}


app = FastAPI(lifespan=lifespan)


async def started(
    request: Request, command: Annotated[str, Body(embed=True)]
) -> AsyncIterator[ExecProcess]:
    # FastAPI leaves these blocks when the response has ended, or its caller has hung up.
    async with (
        request.state.pool.take(timeout_seconds=60) as sandbox,
        sandbox.start(("sh", "-c", command), timeout_seconds=COMMAND_SECONDS) as process,
    ):
        yield process


@app.post("/run")
async def run(process: Annotated[ExecProcess, Depends(started)]) -> StreamingResponse:
    return StreamingResponse(output(process), media_type="text/plain")


async def output(process: ExecProcess) -> AsyncIterator[bytes]:
    try:
        async for chunk in process.output():
            yield chunk.data
        yield f"exit code {process.exit_code}\n".encode()
    except SandboxClientError as error:  # too late for another status
        yield f"{error}\n".encode()


@app.exception_handler(SandboxClientError)
async def unavailable(_: Request, error: SandboxClientError) -> PlainTextResponse:
    status = 400 if isinstance(error, InvalidArgumentError) else 503
    return PlainTextResponse(f"{error}\n", status_code=status)
