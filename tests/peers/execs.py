"""Steps that run commands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from .peer import BOX, events_until, expect, expect_error, names, subscription
from .releases import Release

# It ends by itself if a delete does not kill it.
LONG = ("sleep", "60")


async def exec_ok(client: Any, release: Release) -> None:
    """Run a command that succeeds, with the environments of the sandbox and of the call."""
    script = 'echo "$GREETING $NAME from $PWD" && echo oops >&2 && echo kept > file'
    done = await client.run(BOX, ("sh", "-c", script), env_overrides={"NAME": "peer"})
    expect("state", (done.state.name, done.exit_code, done.error), ("FINISHED", 0, None))
    expect("command", done.command, ("sh", "-c", script))
    expect("cwd and envs", (done.cwd, dict(done.env_overrides)), ("/workspace", {"NAME": "peer"}))
    stdout = await asyncio.to_thread(Path(done.stdout_log_path).read_text)
    expect("the greeting", stdout.partition(" from ")[0], "hello peer")
    stderr = await asyncio.to_thread(Path(done.stderr_log_path).read_text)
    expect("stderr", stderr, "oops\n")


async def exec_that_fails(client: Any, release: Release) -> None:
    """Run commands that fail: by exit code, unknown, or in a missing folder."""
    for command, exit_code in ((("sh", "-c", "exit 3"), 3), (("no-such-program",), 127)):
        done = await client.run(BOX, command)
        error = f"docker exec failed: exit code {exit_code}"
        expect("end", (done.state.name, done.exit_code, done.error), ("FAILED", exit_code, error))
    done = await client.run(BOX, ("true",), cwd="/no/such/folder")
    expect("end", (done.state.name, done.exit_code), ("FAILED", 0))
    expect("error", "chdir to cwd" in done.error, True)


async def exec_events(client: Any, release: Release) -> None:
    """An open subscription receives the start and the end of an exec."""
    head = (await client.get_sandbox(BOX)).last_event_sequence
    async with subscription(client, BOX, from_sequence=head - 1) as events:
        await events_until(events, lambda seen: True)  # it is open now
        done = await client.create_exec(BOX, ("sh", "-c", "exit 4"), exec_id="exec-4", wait=True)
        expect("state", (done.state.name, done.exit_code), ("FAILED", 4))
        started, failed = await events_until(events, lambda seen: len(seen) == 2)
    expect("events", names([started, failed]), ["EXEC_STARTED", "EXEC_FAILED"])
    expect("sequences", (started.sequence, failed.sequence), (head + 1, head + 2))
    expect("ids", (started.exec.exec_id, failed.exec.exec_id), ("exec-4", "exec-4"))
    details = failed.exec
    expect(
        "exec state", (started.exec.exec_state.name, details.exec_state.name), ("RUNNING", "FAILED")
    )
    expect("end", (details.exit_code, details.error_code), (4, "EXEC_RUN_FAILED"))


async def cancel(client: Any, release: Release) -> None:
    """Cancel a running exec: active before, CANCELLED after, and only once."""
    running = await client.create_exec(BOX, LONG, exec_id="exec-long")
    expect("state", (running.exec_id, running.state.name), ("exec-long", "RUNNING"))
    for sandbox_id, wanted in ((BOX, ["exec-long"]), (None, ["exec-long"]), ("other", [])):
        active = await client.list_active_execs(sandbox_id=sandbox_id)
        expect(f"active in {sandbox_id}", [item.exec_id for item in active], wanted)
    cancelled = await client.cancel_exec("exec-long")
    expect("state", cancelled.state.name, "CANCELLED")
    expect("active", await client.list_active_execs(), [])
    again = client.cancel_exec("exec-long")
    await expect_error(again, "ExecAlreadyTerminalError", "exec-long", exec_id="exec-long")


async def stop_kills(client: Any, release: Release) -> None:
    """A command that runs during a stop ends with 137; the next resume finds the files."""
    await client.create_exec(BOX, LONG, exec_id="exec-killed")
    head = (await client.get_sandbox(BOX)).last_event_sequence
    await client.stop_sandbox(BOX, wait=False)
    async with subscription(client, BOX, from_sequence=head) as events:
        await events_until(events, lambda seen: names(seen)[-1] == "SANDBOX_STOPPED")
    killed = await client.get_exec("exec-killed")
    expect("end", (killed.state.name, killed.exit_code), ("FAILED", 137))
    await client.resume_sandbox(BOX)
    done = await client.run(BOX, ("cat", "file"))
    text = await asyncio.to_thread(Path(done.stdout_log_path).read_text)
    expect("the file that an exec wrote before the stop", text, "kept\n")
