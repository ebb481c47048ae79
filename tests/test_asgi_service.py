"""The ASGI service of `examples/` streams, and ends the commands of callers that hang up."""

from __future__ import annotations

import asyncio
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox.testing import FakeDaemon

from .deletions import wait_until_deleted
from .releases import any_release

pytestmark = [pytest.mark.once, pytest.mark.unmeasured, any_release]

PROGRAM = Path(__file__).parents[1] / "examples" / "asgi_service.py"


class Caller:
    """One call of the service: what an ASGI server does for it."""

    def __init__(self, app: Any, state: dict[str, Any], command: str) -> None:
        self._body: bytes | None = json.dumps({"command": command}).encode()
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/run",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "state": dict(state),
        }
        self.served = asyncio.ensure_future(app(scope, self._receive, self._sent.put))

    async def _receive(self) -> dict[str, Any]:
        if (body := self._body) is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def status(self) -> int:
        return int((await self._sent.get())["status"])

    async def piece(self) -> bytes:
        return bytes((await self._sent.get())["body"])

    async def hang_up(self) -> None:
        self._gone.set()
        await self.served


@pytest.fixture
def app(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "agbox").mkdir()
    (tmp_path / "agbox" / "agboxd.sock").symlink_to(daemon.socket_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return runpy.run_path(str(PROGRAM))["app"]


async def test_it_streams_and_ends_what_nobody_waits_for(app: Any, daemon: FakeDaemon) -> None:
    daemon.on_exec(("sh", "-c", "make")).stdout("done\n").exit(3)
    daemon.on_exec(("sh", "-c", "serve")).stdout("begin\n").never()
    async with app.router.lifespan_context(app) as state:
        make = Caller(app, state, "make")
        assert await make.status() == 200
        assert [await make.piece() for _ in range(3)] == [b"done\n", b"exit code 3\n", b""]
        await make.served

        serve = Caller(app, state, "serve")
        assert await serve.status() == 200
        assert await serve.piece() == b"begin\n"
        await serve.hang_up()
        assert [item.exit_code for item in daemon.execs] == [3, 137]
    await asyncio.to_thread(wait_until_deleted, daemon)


async def test_a_command_that_cannot_be_started_is_an_error(app: Any, daemon: FakeDaemon) -> None:
    daemon.faults.fail_next("CreateExec", code="RESOURCE_EXHAUSTED")
    async with app.router.lifespan_context(app) as state:
        call = Caller(app, state, "make")
        assert await call.status() == 503
        await call.served
    await asyncio.to_thread(wait_until_deleted, daemon)
