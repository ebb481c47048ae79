"""Which commands a script is for, and how a sequence of answers is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands.command import Command
from agents_sandbox.testing._commands.scripts import Scripts
from agents_sandbox.testing._protocol.spec import Spec

from .raw import Raw

pytestmark = pytest.mark.once


def command(
    *argv: str,
    cwd: str = "",
    env: Mapping[str, str] | None = None,
    sandbox: str = "box-1",
    sandbox_env: Mapping[str, str] | None = None,
) -> Command:
    return Command(sandbox, Spec(envs=dict(sandbox_env or {})), argv, cwd=cwd, env=env or {})


def matches(made: Command, *match: Any, **criteria: Any) -> bool:
    scripts = Scripts()
    scripts.on_exec(match[0] if match else None, "here", **criteria)
    return scripts.plan_for(made) is not None


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [(("pip",), True), (("pip", "install"), True), (["pip", "install", "x", "y"], False)],
)
def test_prefix(prefix: Any, expected: bool) -> None:
    assert matches(command("pip", "install", "x"), prefix=prefix) is expected


@pytest.mark.parametrize(
    ("requested", "wanted", "expected"),
    [
        ("", "/workspace", True),
        ("/srv/a/", "/srv/a", True),
        ("/srv/a", "/srv/./a/", True),
        ("/srv", "/workspace", False),
    ],
)
def test_cwd(requested: str, wanted: str, expected: bool) -> None:
    assert matches(command("ls", cwd=requested), cwd=wanted) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"A": "own"}, True),
        ({"B": "sandbox"}, True),
        ({"A": "own", "B": "sandbox"}, True),
        ({"A": "sandbox"}, False),
        ({"C": ""}, False),
    ],
)
def test_env_is_that_of_the_sandbox_overridden_by_the_execs(
    wanted: dict[str, str], expected: bool
) -> None:
    made = command("ls", env={"A": "own"}, sandbox_env={"A": "sandbox", "B": "sandbox"})
    assert matches(made, env=wanted) is expected


def test_all_criteria_must_match() -> None:
    made = command("pip", "install", cwd="/srv", env={"A": "1"})
    right: dict[str, Any] = {
        "prefix": ("pip",),
        "cwd": "/srv",
        "env": {"A": "1"},
        "sandbox_id": "box-1",
    }
    assert matches(made, **right)
    assert matches(made, lambda argv: argv[-1] == "install", **right)
    assert not matches(made, lambda argv: argv[-1] == "remove", **right)
    wrong = {"prefix": ("npm",), "cwd": "/", "env": {"A": "2"}, "sandbox_id": "box-2"}
    for name, value in wrong.items():
        assert not matches(made, **{**right, name: value})
    assert matches(made, ("pip", "install"), cwd="/srv")
    assert not matches(made, ("pip", "install"), cwd="/")


def test_function_is_called_for_commands_that_match_the_rest_only() -> None:
    asked: list[Any] = []
    assert not matches(command("ls"), asked.append, cwd="/srv")
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, r"on_exec\(\) requires an argv, a function, prefix=, cwd=, env= or sand"),
        ({"prefix": "pip"}, TypeError, "prefix must be an argv .*, not 'pip'"),
        ({"prefix": ()}, ValueError, r"prefix must not be an empty argv: \(\)"),
        ({"match": ["a"], "prefix": ["a"]}, ValueError, "match and prefix cannot be combined"),
        ({"cwd": "srv"}, ValueError, "cwd must be absolute: 'srv'"),
        ({"cwd": Path("/srv")}, TypeError, "cwd must be a string"),
        ({"env": ["A"]}, TypeError, r"env must be a mapping, not \['A'\]"),
        ({"env": {"A": 1}}, TypeError, r"env\['A'\] must be a string, not 1"),
        ({"env": {1: "A"}}, TypeError, "each name in env must be a string, not 1"),
        ({"sandbox_id": 1}, TypeError, "sandbox_id must be a string, not 1"),
    ],
)
def test_wrong_criteria_are_refused(
    daemon: FakeDaemon, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        daemon.on_exec(**arguments)


def test_criteria_reach_the_daemon(raw: Raw) -> None:
    raw.ready("box-1", envs={"CI": "1"})
    raw.ready("box-2")
    raw.daemon.on_exec(prefix=("make",), cwd="/workspace", env={"CI": "1"}).exit(1)
    raw.daemon.on_exec(sandbox_id="box-2").exit(2)
    raw.start("make", "all", exec_id="first")
    raw.start("make", "all", exec_id="elsewhere", cwd="/srv")
    raw(methods.CREATE_EXEC, sandbox_id="box-2", command=["make"], exec_id="other")
    ends = [raw.finished("first"), raw.finished("elsewhere"), raw.finished("other", "box-2")]
    assert [end.exit_code for end in ends] == [1, 0, 2]


def exit_codes(scripts: Scripts, count: int) -> list[object]:
    plans = [scripts.plan_for(command("make")) for _ in range(count)]
    return [None if plan is None else plan.end for plan in plans]


def test_answers_in_order_the_last_one_for_ever() -> None:
    scripts = Scripts()
    scripts.on_exec(["make"], "here").exit(1).then().exit(2).times(2).then().exit(0)
    assert exit_codes(scripts, 6) == [1, 2, 2, 0, 0, 0]
    assert scripts.unused() == []


def test_earlier_scripts_apply_once_all_answers_are_used_up() -> None:
    scripts = Scripts()
    scripts.on_exec(["make"], "here").exit(9)
    scripts.on_exec(["make"], "here").exit(1).then().exit(2).times(1)
    assert exit_codes(scripts, 4) == [1, 2, 9, 9]


def test_an_answer_that_was_used_before_another_one_followed_is_over() -> None:
    scripts = Scripts()
    script = scripts.on_exec(["make"], "here").exit(1)
    assert exit_codes(scripts, 2) == [1, 1]
    script.then().exit(0)
    assert exit_codes(scripts, 2) == [0, 0]


def test_answers_have_their_own_steps() -> None:
    scripts = Scripts()
    first = scripts.on_exec(["make"], "here").stdout("a")
    second = first.then().stdout("b").exit(3)
    first.exit(4)
    second.after(1)
    plans = [scripts.plan_for(command("make")) for _ in range(2)]
    assert [plan and (len(plan.steps), plan.end) for plan in plans] == [(1, 4), (2, 3)]


def test_unused_answers_are_reported_with_their_number_and_place() -> None:
    scripts = Scripts()
    scripts.on_exec(["make"], "file:1", cwd="/workspace", sandbox_id="box-1").times(3).then()
    scripts.plan_for(command("make"))
    scripts.on_exec(None, "file:2", prefix=["pip"], env={"TOKEN": "secret"})
    one, two, three = scripts.unused()
    name = "on_exec(('make',), cwd='/workspace', sandbox_id='box-1'), answer {} of 2, at "
    assert one == name.format(1) + "file:1: used 1 of 3 times"
    assert two.startswith(name.format(2) + f"{__file__}:")
    assert two.endswith(": never used")
    assert three == "on_exec(prefix=('pip',), env={'TOKEN': ...}) at file:2: never used"
