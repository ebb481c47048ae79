"""How AGENTS_SANDBOX_LOG shows what the clients log, and that nothing is written unasked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import pytest

from agents_sandbox import InvalidArgumentError, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = [pytest.mark.once, any_release]

USE = """
import asyncio, logging, sys
from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient

def use():
    with SyncAgentsSandboxClient(sys.argv[1]) as client:
        client.ping()

async def use_in_a_loop():
    async with AgentsSandboxClient(sys.argv[1]) as client:
        await client.ping()
"""
CALL = r"DEBUG agents_sandbox\.calls: ping: OK after \d+\.\d ms"


def stderr(program: str, daemon: FakeDaemon, level: str = "") -> str:
    """Run a program of a user, and return what it writes to stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE + textwrap.dedent(program), daemon.socket_path],
        env={**os.environ, "AGENTS_SANDBOX_LOG": level},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


def test_one_handler_shows_what_all_clients_log(daemon: FakeDaemon) -> None:
    lines = stderr("asyncio.run(use_in_a_loop()); use()", daemon, "debug").splitlines()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    assert [bool(re.fullmatch(time + CALL, line)) for line in lines] == [True, True]


@pytest.mark.parametrize("level", ["", "info", "INFO"])
def test_calls_are_not_shown_below_debug(daemon: FakeDaemon, level: str) -> None:
    assert stderr("use()", daemon, level) == ""


def test_warnings_are_not_shown_unasked(daemon: FakeDaemon) -> None:
    program = 'use(); logging.getLogger("agents_sandbox.cleanup").warning("left behind")'
    assert stderr(program, daemon) == ""
    assert stderr(program, daemon, "info").endswith("WARNING agents_sandbox.cleanup: left behind\n")


def test_records_go_to_the_handlers_of_the_application(daemon: FakeDaemon) -> None:
    program = "logging.basicConfig(format='mine %(message)s'); use()"
    mine = r"mine ping: OK after \d+\.\d ms\n"
    assert re.fullmatch(mine, stderr(program, daemon, "debug"))
    # Also if the application configures them when there is a client.
    both = stderr(f"use(); {program}", daemon, "debug")
    assert re.fullmatch(rf"[^\n]*{CALL}\n{mine}", both)


@pytest.mark.parametrize(
    "own", ["setLevel('WARNING')", "addHandler(logging.FileHandler('/dev/null'))"]
)
def test_a_logger_that_the_application_has_configured_stays(daemon: FakeDaemon, own: str) -> None:
    program = f"logging.getLogger('agents_sandbox').{own}; use()"
    assert stderr(program, daemon, "debug") == ""


def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTS_SANDBOX_LOG", "loud")
    with pytest.raises(
        InvalidArgumentError, match=r"^AGENTS_SANDBOX_LOG must be info or debug, not 'loud'"
    ):
        SyncAgentsSandboxClient("/run/x")
