"""Commands that no script matches: what they do, and what a test is told about them."""

from __future__ import annotations

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .raw import Raw, connected

pytestmark = pytest.mark.once


def complaint(daemon: FakeDaemon) -> list[str]:
    with pytest.raises(AssertionError) as caught:
        daemon.assert_all_scripted()
    return str(caught.value).splitlines()


def test_by_default_they_succeed_and_are_kept_for_a_report(raw: Raw) -> None:
    raw.ready()
    raw.daemon.assert_all_scripted()
    raw.daemon.on_exec(["ls"])
    ids = ["exec-1", "exec-2", "exec-3"]
    for exec_id in ids[:2]:
        raw.start("make", "all", exec_id=exec_id, cwd="/srv")
    raw.start("ls", exec_id=ids[2])
    assert [raw.finished(exec_id).exit_code for exec_id in ids] == [0, 0, 0]
    assert complaint(raw.daemon) == [
        "unscripted commands: ('make', 'all')",
        "  exec exec-1 in sandbox box-1: ('make', 'all'), cwd '/srv', 2 times",
    ]
    raw.daemon.stop()  # no error
    assert len(complaint(raw.daemon)) == 2


def test_what_came_close_is_named_closest_first(raw: Raw) -> None:
    raw.ready(envs={"CI": "1", "A": "secret"})
    raw.daemon.on_exec(["make", "tests"])
    raw.daemon.on_exec(lambda argv: False)
    raw.daemon.on_exec(["make", "test"], cwd="/srv", env={"A": "x", "B": "x"}, sandbox_id="box-2")
    raw.daemon.on_exec(["make", "test"], cwd="/srv")
    raw.daemon.on_exec(["npm", "test", "--watch"])
    raw.daemon.on_exec(prefix=["mak"])
    raw.daemon.on_exec(["make", "test"]).times(1)
    for exec_id in ("exec-1", "exec-2"):
        raw.start("make", "test", exec_id=exec_id)
        raw.finished(exec_id)
    _, unscripted, *close = complaint(raw.daemon)
    assert unscripted == "  exec exec-2 in sandbox box-1: ('make', 'test')"
    registered = [line.replace(__file__, "") for line in close]
    assert [line.partition(" at ")[0] for line in registered] == [
        "    close: on_exec(('make', 'test'))",
        "    close: on_exec(('make', 'test'), cwd='/srv')",
        "    close: on_exec(('make', 'tests'))",
    ]
    assert [line.rpartition(": ")[2] for line in registered] == [
        "used up, 1 of 1 times",
        "the cwd is '/workspace'",
        "the argv differs",
    ]


def test_each_difference_is_named_without_values_of_variables(raw: Raw) -> None:
    raw.ready(envs={"A": "secret"})
    raw.daemon.on_exec(
        prefix=["make", "tests"], cwd="/srv", env={"A": "x", "B": "y"}, sandbox_id="box-2"
    )
    raw.start("make", "test")
    raw.finished()
    (*_, line) = complaint(raw.daemon)
    assert line.endswith(
        ": the prefix differs, the cwd is '/workspace', variable 'A' differs, "
        "variable 'B' is not set, the sandbox is box-1"
    )
    assert "secret" not in line


def test_no_more_than_a_hundred_are_kept(raw: Raw) -> None:
    raw.ready()
    for number in range(102):
        raw.start("echo", str(number), exec_id=f"exec-{number}")
    title, *others = complaint(raw.daemon)
    assert title == "unscripted commands: ('echo', '0') and 99 more"
    assert len(others) == 100


def test_commands_that_really_run_are_not_unscripted() -> None:
    with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start("true")
        raw.finished()
        daemon.assert_all_scripted()


def test_they_can_be_made_to_fail() -> None:
    daemon = FakeDaemon(unscripted="fail").start()
    with connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["make", "test"]).exit(3)
        raw.start("make", "test", exec_id="scripted")
        raw.start("make", "tset", exec_id="mistyped")
        raw.start("unheard-of", exec_id="other")
        assert raw.finished("scripted").exit_code == 3
        failed, other = raw.finished("mistyped"), raw.finished("other")
    assert (failed.state, failed.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert failed.error.startswith(
        "unscripted command: no on_exec() matches it; close: on_exec(('make', 'test')) at "
        f"{__file__}:"
    )
    assert failed.error.endswith(": the argv differs")
    assert other.error == "unscripted command: no on_exec() matches it"
    assert not any(daemon.exec_log_root.glob("*/mistyped*"))
    assert len(complaint(daemon)) == 4
    with pytest.raises(AssertionError) as caught:
        daemon.stop()
    first, close = str(caught.value).splitlines()
    assert first == "unscripted command: exec mistyped in sandbox box-1: ('make', 'tset')"
    assert close.startswith("    close: on_exec(('make', 'test')) at ")


def test_hooks_are_commands_too() -> None:
    quick = {"db:1": ContainerBehavior(healthy_after=0)}
    daemon = FakeDaemon(unscripted="fail", version="0.2.1", containers=quick).start()
    with connected(daemon) as raw:
        service = {"name": "db", "image": "db:1", "post_start_on_primary": ["seed"]}
        healthy = {"test": ["CMD", "true"]}
        raw.create(required_services=[{**service, "healthcheck": healthy}])
        raw.wait_for(pb.SANDBOX_FAILED)
    assert complaint(daemon)[1:] == ["  hook in sandbox box-1: ('sh', '-lc', 'seed')"]
    with pytest.raises(AssertionError, match="unscripted command: hook in sandbox box-1"):
        daemon.stop()


def test_a_block_that_an_exception_leaves_raises_that_exception() -> None:
    with pytest.raises(KeyError), FakeDaemon(unscripted="fail") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start("make")
        raw.finished()
        raise KeyError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unscripted": "ignore"}, "unscripted must be 'succeed' or 'fail': 'ignore'"),
        (
            {"unscripted": "fail", "exec_mode": "passthrough"},
            "unscripted='fail' requires exec_mode='scripted'",
        ),
    ],
)
def test_wrong_arguments(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FakeDaemon(**arguments)  # type: ignore[arg-type] # wrong ones, too


def test_unknown_sandboxes_have_no_commands(raw: Raw) -> None:
    raw.refused(methods.CREATE_EXEC, sandbox_id="ghost", command=["make"])
    raw.daemon.assert_all_scripted()
