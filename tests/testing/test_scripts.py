"""Scripts: their steps, which of them applies, and those that are unused."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands.command import CannotStartError, Command
from agents_sandbox.testing._commands.files import FilesRunner
from agents_sandbox.testing._commands.scripted import ScriptedRunner, UnscriptedRunner
from agents_sandbox.testing._commands.scripts import Scripts
from agents_sandbox.testing._protocol.spec import Spec
from agents_sandbox.testing._time.clock import HostClock

from .raw import Raw, connected


def unscripted(scripts: Scripts, folder: Path) -> UnscriptedRunner:
    return UnscriptedRunner(scripts, FilesRunner(folder / "sandboxes", HostClock()))


class Stage:
    """Runs scripts with a clock that does not wait, and reads the logs at each sleep."""

    def __init__(self, folder: Path) -> None:
        self.scripts = Scripts()
        self.runner = ScriptedRunner(self.scripts, unscripted(self.scripts, folder), self.sleep)
        self.seen: list[tuple[float, str, str]] = []
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"

    def command(self, *argv: str) -> Command:
        return Command(
            "box-1",
            Spec(),
            argv,
            stdout_path=self._stdout,
            stderr_path=self._stderr,
            exec_id="exec-1",
        )

    async def sleep(self, seconds: float) -> None:
        self.seen.append((seconds, *self.written()))

    def written(self) -> tuple[str, str]:
        return self._stdout.read_text(), self._stderr.read_text()

    async def run(self, *argv: str) -> int:
        return await self.runner.process_for(self.command(*argv)).run()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_steps_happen_in_order_and_are_visible_immediately(stage: Stage) -> None:
    script = stage.scripts.on_exec(["make"], "here")
    script.stdout("a").after(1).exit(3).stderr("oops").stdout("b").after(2).stdout("c")
    assert await stage.run("make") == 3
    assert stage.seen == [(1, "a", ""), (2, "ab", "oops")]
    assert stage.written() == ("abc", "oops")


async def test_wait_at_the_end_comes_before_the_end(stage: Stage) -> None:
    stage.scripts.on_exec(["make"], "here").exit(3).after(5)
    assert await stage.run("make") == 3
    assert stage.seen == [(5, "", "")]


async def test_last_call_decides_the_end(stage: Stage) -> None:
    script = stage.scripts.on_exec(["make"], "here").never().exit(4)
    assert await stage.run("make") == 4
    assert await stage.runner.process_for(stage.command("make")).run() == 4
    script.call(lambda _: 5)
    assert await stage.run("make") == 5
    script.never()
    endless = asyncio.ensure_future(stage.run("make"))
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop, not time
    assert not endless.done()
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless


async def test_command_that_cannot_start_has_no_logs(stage: Stage, tmp_path: Path) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    stage.scripts.on_exec(["make"], "here").after(1).exit(3).fail("no such user").after(2)
    runner = ScriptedRunner(stage.scripts, unscripted(stage.scripts, tmp_path), sleep)
    with pytest.raises(CannotStartError, match=r"^no such user$"):
        await runner.process_for(stage.command("make")).run()
    assert sum(waited) == 3
    assert list(tmp_path.iterdir()) == []


async def test_command_keeps_the_script_that_it_was_accepted_with(stage: Stage) -> None:
    script = stage.scripts.on_exec(["make"], "here").stdout("old")
    process = stage.runner.process_for(stage.command("make"))
    script.stdout("new").exit(1)
    assert await process.run() == 0
    assert stage.written() == ("old", "")


async def test_script_applies_as_many_times_as_planned(stage: Stage) -> None:
    stage.scripts.on_exec(["make"], "here").exit(1)
    stage.scripts.on_exec(["make"], "here").exit(2).times(2)
    assert [await stage.run("make") for _ in range(4)] == [2, 2, 1, 1]


async def test_unused_scripts_are_reported(stage: Stage) -> None:
    stage.scripts.on_exec(["make", "all"], "file:1")
    stage.scripts.on_exec(["ls"], "file:2").times(3)
    stage.scripts.on_exec(["ls", "-l"], "file:3").times(1)
    stage.scripts.on_exec(["pwd"], "file:4")
    for argv in (["ls"], ["ls", "-l"], ["pwd"], ["pwd"]):
        await stage.run(*argv)
    assert stage.scripts.unused() == [
        "on_exec(('make', 'all')) at file:1: never used",
        "on_exec(('ls',)) at file:2: used 1 of 3 times",
    ]


def test_long_argv_is_shortened_in_messages(daemon: FakeDaemon) -> None:
    daemon.on_exec(["x" * 1000])
    (message,) = daemon._scripts.unused()
    assert message.startswith(f"on_exec(('{'x' * 298}... (1005 characters)) at ")


def test_place_of_a_script_is_the_test(daemon: FakeDaemon) -> None:
    daemon.on_exec(["ls"])
    exec("daemon.on_exec(['pwd'])", {"daemon": daemon})  # code without a module
    here, nowhere = daemon._scripts.unused()
    assert here.startswith(f"on_exec(('ls',)) at {__file__}:")
    assert nowhere == "on_exec(('pwd',)) at <string>:1: never used"


async def test_command_without_log_files(stage: Stage) -> None:
    stage.scripts.on_exec(["make"], "here").stdout("lost")
    command = Command("box-1", Spec(), ("make",))
    assert await stage.runner.process_for(command).run() == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda script: script.stdout(5), TypeError, "data must be str or bytes, not 5"),
        (lambda script: script.stderr(None), TypeError, "data must be str or bytes, not None"),
        (lambda script: script.after("1"), TypeError, "seconds must be a number, not '1'"),
        (lambda script: script.after(-1), ValueError, "seconds must be finite .* negative: -1"),
        (lambda script: script.after(math.inf), ValueError, "seconds must be finite .*: inf"),
        (lambda script: script.times(0), ValueError, "times must be at least 1: 0"),
        (lambda script: script.times(1.5), TypeError, "times must be an integer, not 1.5"),
        (lambda script: script.exit(256), ValueError, r"exit code must be in 0\.\.255, not 256"),
        (lambda script: script.exit(True), TypeError, "exit code must be an integer, not True"),
        (lambda script: script.exit(1.0), TypeError, "exit code must be an integer, not 1.0"),
        (lambda script: script.call(3), TypeError, "handler must be callable: 3"),
        (lambda script: script.fail(3), TypeError, "message must be a string, not 3"),
        (lambda script: script.fail(""), ValueError, "message must not be empty: ''"),
        (lambda script: script.stdout("x").fail("no"), ValueError, r"fail\(\) cannot be combined"),
        (lambda script: script.fail("no").stderr("x"), ValueError, r"fail\(\) cannot be combined"),
    ],
)
def test_invalid_script_is_refused(
    daemon: FakeDaemon, call: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(daemon.on_exec(["ls"]))


@pytest.mark.parametrize(
    ("match", "error", "message"),
    [
        ("ls -l", TypeError, "match must be a function or an argv .*, not 'ls -l'"),
        (5, TypeError, "match must be a function or an argv .*, not 5"),
        ([1], TypeError, r"match must be a function or an argv .*, not \[1\]"),
        ([], ValueError, r"match must not be an empty argv: \[\]"),
    ],
)
def test_invalid_match_is_refused(
    daemon: FakeDaemon, match: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        daemon.on_exec(match)


def test_script_takes_precedence_over_the_real_command() -> None:
    with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["sh", "-c", "echo real"]).stdout("scripted\n").exit(7).times(1)
        answers = [
            raw.start("sh", "-c", "echo real", exec_id=name) for name in ("scripted", "real")
        ]
        assert [raw.finished(answer.exec_id).exit_code for answer in answers] == [7, 0]
        written = [Path(answer.stdout_log_path).read_text() for answer in answers]
        assert written == ["scripted\n", "real\n"]


def test_cancelled_script_is_not_a_leak_and_ends_with_its_sandbox(raw: Raw) -> None:
    raw.ready()
    raw.daemon.on_exec(["sleep"]).stdout("on").never()
    with raw.daemon.paused() as pause:
        answer = raw.start("sleep")
        pause.step()
    raw(methods.CANCEL_EXEC, exec_id="exec-1")
    assert Path(answer.stdout_log_path).read_text() == "on"
    raw.daemon.assert_no_leaks(execs=True)  # a script has no process on this host
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
