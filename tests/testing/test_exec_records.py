"""Execs without a daemon: hooks, restarts, and what is kept of ended execs."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing._commands.command import CannotStartError, Command, CommandError
from agents_sandbox.testing._commands.files import FilesRunner
from agents_sandbox.testing._commands.passthrough import PassThroughRunner
from agents_sandbox.testing._commands.scripted import ScriptedRunner, UnscriptedRunner
from agents_sandbox.testing._commands.scripts import Scripts
from agents_sandbox.testing._host.containers import DockerError
from agents_sandbox.testing._sandboxes.exec import Exec
from agents_sandbox.testing._sandboxes.execs import Execs
from agents_sandbox.testing._sandboxes.sandbox import Sandbox
from agents_sandbox.testing._time.background import Background
from agents_sandbox.testing._time.clock import HostClock

from .boxes import ready_sandbox

pytestmark = pytest.mark.once


class Bench:
    """All execs, without a daemon."""

    def __init__(self, folder: Path) -> None:
        self.background = Background()
        self.scripts = Scripts()
        self.host = PassThroughRunner(folder / "sandboxes", HostClock())
        self.logs = folder / "logs"
        files = FilesRunner(folder / "files", HostClock())
        self.scripted = self.execs_of(
            ScriptedRunner(self.scripts, UnscriptedRunner(self.scripts, files))
        )
        self.real = self.execs_of(self.host)

    def execs_of(self, runner: ScriptedRunner | PassThroughRunner) -> Execs:
        return Execs(self.background, runner, self.logs)

    def log_files(self) -> list[Path]:
        return [path for path in self.logs.rglob("*") if path.is_file()]

    def start(self, sandbox: Sandbox, exec_id: str, *argv: str, **fields: Any) -> Exec:
        request = pb.CreateExecRequest(exec_id=exec_id, command=argv, **fields)
        return self.scripted.create(sandbox, request)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.background.aclose()
    await bench.host.aclose()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)  # a turn of the loop, not time


def events(sandbox: Sandbox) -> list[str]:
    return [pb.EventType.Name(event.event_type) for event in sandbox.log.events[1:]]


async def test_hook_runs_in_the_primary(bench: Bench) -> None:
    sandbox = ready_sandbox(envs={"BOX": "box", "BOTH": "box"})
    await bench.real.prepare(sandbox)
    hook = 'echo "$BOX $BOTH $SVC" >> /workspace/hooks; exit 5'
    assert await bench.real.run_hook(sandbox, hook, {"BOTH": "svc", "SVC": "1"}) == 5
    sandbox.primary.exit()
    assert await bench.real.run_hook(sandbox, "cat hooks >> hooks2", {}) == 0
    copy = bench.host._files(sandbox.id, sandbox.spec).host_path("/workspace/hooks2")
    assert copy.read_text() == "box svc 1\n"
    assert sandbox.primary.starts == 2
    assert events(sandbox) == []
    assert not bench.logs.exists()


async def test_hook_that_cannot_start(bench: Bench) -> None:
    sandbox = ready_sandbox()
    with pytest.raises(CannotStartError, match="/workspace"):
        await bench.real.run_hook(sandbox, "true", {})
    await bench.real.prepare(sandbox)
    with pytest.raises(CannotStartError, match="null byte"):
        await bench.real.run_hook(sandbox, "a\0b", {})


async def test_hook_is_scripted_like_an_exec(bench: Bench) -> None:
    sandbox = ready_sandbox()
    bench.scripts.on_exec(("sh", "-lc", "init"), "here").stdout("lost").exit(9)
    assert await bench.scripted.run_hook(sandbox, "init", {}) == 9
    assert await bench.scripted.run_hook(sandbox, "other", {}) == 0


async def test_hook_is_killed_with_its_container(bench: Bench) -> None:
    sandbox = ready_sandbox()
    script = bench.scripts.on_exec(("sh", "-lc", "init"), "here").never()
    hook = asyncio.ensure_future(bench.scripted.run_hook(sandbox, "init", {}))
    await turns()
    bench.scripted.kill_all(sandbox)
    assert await hook == 137
    script.call(lambda context: context.argv[0] == "sh")  # True is not an exit code
    with pytest.raises(CommandError, match="raised TypeError"):
        await bench.scripted.run_hook(sandbox, "init", {})


async def test_restarting_container_refuses_execs_and_hooks(bench: Bench) -> None:
    sandbox = ready_sandbox()
    sandbox.primary.restart_forever()
    # Docker checks the container first, and the folder only when it starts the process.
    item = bench.start(sandbox, "exec-1", "true", cwd="relative")
    await turns()
    assert "is restarting, wait until" in item.status().error
    assert bench.log_files() == []
    with pytest.raises(DockerError, match="is restarting"):
        await bench.scripted.run_hook(sandbox, "init", {})


async def test_restart_of_the_daemon_ends_execs_on_record_only(bench: Bench) -> None:
    sandbox, other = ready_sandbox(), ready_sandbox("box-2")
    may_end = asyncio.Event()

    async def handler(_: object) -> None:
        await may_end.wait()

    bench.scripts.on_exec(["make"], "here").call(handler)
    running = bench.start(sandbox, "exec-1", "make")
    done = bench.start(sandbox, "exec-2", "true")
    elsewhere = bench.start(other, "exec-3", "make")
    await turns()
    bench.scripted.interrupt(sandbox)
    assert (running.status().state, running.status().exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert running.status().error == "exec was running when daemon restarted"
    assert done.status().state == pb.EXEC_STATE_FINISHED
    assert sandbox.log.events[-1].exec == pb.ExecEventDetails(
        exec_id="exec-1",
        exec_state=pb.EXEC_STATE_FAILED,
        error_code="DAEMON_RESTARTED",
        error_message="exec was running when daemon restarted",
    )
    assert bench.scripted.active(None) == [elsewhere]
    head = sandbox.log.head
    (task,) = bench.scripted._tasks["box-1"]
    may_end.set()
    await task
    assert sandbox.log.head == head
    bench.scripted.interrupt(ready_sandbox("box-3"))


async def test_exec_that_a_restart_interrupts_before_its_start_never_starts(bench: Bench) -> None:
    sandbox = ready_sandbox()
    bench.start(sandbox, "exec-1", "true")
    bench.scripted.interrupt(sandbox)
    await turns()
    assert bench.log_files() == []


async def test_last_end_of_an_exec_is_recorded_unless_it_failed(bench: Bench) -> None:
    sandbox = ready_sandbox()
    bench.scripts.on_exec(["false"], "here").exit(1)
    bench.scripts.on_exec(["sleep"], "here").never()

    async def last(exec_id: str, command: str) -> object:
        bench.start(sandbox, exec_id, command)
        await turns()
        if command == "sleep":
            bench.scripted.cancel(exec_id)
        return sandbox.last_exec_end

    def newest() -> object:
        return sandbox.log.events[-1].occurred_at

    assert await last("exec-1", "false") is None
    assert await last("exec-2", "true") == newest()
    before = newest()
    assert await last("exec-3", "false") == before
    assert await last("exec-4", "sleep") == newest() != before


async def test_only_the_record_of_an_ended_exec_is_kept(bench: Bench) -> None:
    sandbox = ready_sandbox()
    bench.scripts.on_exec(["sleep"], "here").never()
    processes: list[weakref.ref[object]] = []
    make = bench.scripted._runner.process_for

    def record(command: Command) -> Any:
        process = make(command)
        processes.append(weakref.ref(process))
        return process

    bench.scripted._runner.process_for = record  # type: ignore[method-assign]  # to record them
    for number in range(3):
        bench.start(sandbox, f"exec-{number}", "true")
        bench.start(sandbox, f"killed-{number}", "sleep")
        bench.start(sandbox, f"cancelled-{number}", "sleep")
        await turns()
        bench.scripted.cancel(f"cancelled-{number}")
    assert [item.id for item in bench.scripted.active(None)] == ["killed-0", "killed-1", "killed-2"]
    bench.scripted.kill_all(sandbox)
    await turns()
    gc.collect()
    assert len(processes) == 9
    assert [ref() for ref in processes if ref() is not None] == []
    assert bench.scripted.active(None) == []
    assert (bench.scripted._active, bench.scripted._tasks) == ({}, {})
    assert not hasattr(bench.scripted.get("exec-0"), "__dict__")


async def test_execs_after_a_kill_are_tracked(bench: Bench) -> None:
    sandbox = ready_sandbox()
    bench.scripts.on_exec(["sleep"], "here").never()
    for exec_id in ("exec-1", "exec-2"):
        item = bench.start(sandbox, exec_id, "sleep")
        await turns()
        assert bench.scripted.active(sandbox.id) == [item]
        bench.scripted.kill_all(sandbox)
        # The tasks of the killed execs have not ended yet.
        assert item.status().exit_code == 137
    await turns()
    assert bench.scripted._tasks == {}
