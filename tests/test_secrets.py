"""Values of environment variables are never shown: not in messages, not in reprs."""

from __future__ import annotations

import pprint
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents_sandbox import (
    CompanionContainerSpec,
    ExecHandle,
    ExecState,
    InvalidArgumentError,
    SandboxHandle,
    SandboxState,
    ServiceSpec,
    SyncAgentsSandboxClient,
)
from agents_sandbox._arguments.creates import NewExec, NewSandbox
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands.command import Command
from agents_sandbox.testing._faults.kinds import Call
from agents_sandbox.testing._protocol.spec import SideContainer, Spec

SECRET = "s3cret"
# As `os.environ` has values that are not valid text in the current encoding.
MANGLED = f"{SECRET}-token\udc80{SECRET}"
ENVS = {"TOKEN": SECRET}

SERVICE = ServiceSpec("db", "db:1", ENVS)
COMPANION = CompanionContainerSpec("web", "web:1", ENVS)
SPEC = Spec("a:1", required_services=[SideContainer("db", "db:1", ENVS)], envs=ENVS)

HOLDERS = [
    SERVICE,
    COMPANION,
    SandboxHandle(
        *("box-1", SandboxState.READY, 3, (SERVICE,), (SERVICE,), {}, None, "a:1"),
        companion_containers=(COMPANION,),
    ),
    ExecHandle("exec-1", "box-1", ExecState.RUNNING, ("true",), "", ENVS, None, None, 4),
    NewSandbox(
        image="a:1", envs=ENVS, required_services=[SERVICE], companion_containers=[COMPANION]
    ),
    NewExec("box-1", ("true",), env_overrides=ENVS),
    SPEC,
    Command("box-1", SPEC, ("true",), env=ENVS),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
@pytest.mark.parametrize("render", [repr, str, pprint.pformat])
def test_no_repr_shows_them(holder: object, render: Callable[[object], str]) -> None:
    assert SECRET not in render(holder)
    assert isinstance(holder, Command) or "'TOKEN': ..." in repr(holder)


def test_no_repr_shows_configurations() -> None:
    new = NewSandbox(config_yaml=f"envs: {{TOKEN: {SECRET}}}")
    assert SECRET not in repr(new)
    assert "config_yaml=..." in repr(new)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


CLIENT = SyncAgentsSandboxClient("/nowhere/agboxd.sock")


@pytest.mark.parametrize(
    ("refused", "named"),
    [
        (lambda: CLIENT.run("box-1", ("a",), env_overrides={"TOKEN": MANGLED}), "env_overrides"),
        (lambda: CLIENT.create_sandbox(image="a:1", envs={"TOKEN": MANGLED}), "envs"),
        (lambda: ServiceSpec("db", "db:1", {"TOKEN": MANGLED}), "ServiceSpec.envs"),
        (lambda: CompanionContainerSpec("a", "b", {"TOKEN": MANGLED}), "Spec.envs"),
    ],
)
def test_a_refused_one_is_named_and_not_shown(refused: Callable[[], object], named: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        refused()
    assert f"{named}['TOKEN'] is not valid Unicode text: it has a lone surrogate at index 12" in (
        str(caught.value)
    )
    # Libraries that report errors look at all causes, and at the repr of each.
    for error in causes(caught.value):
        assert SECRET not in f"{error} {error!r} {vars(error)}"
    # They also show the variables of each frame.
    frames = traceback.walk_tb(caught.value.__traceback__)
    lines = traceback.StackSummary.extract(frames, capture_locals=True).format()
    assert SECRET not in "".join(lines)


PROGRAM = """
import os

import pytest
from agents_sandbox import AgentsSandboxClient, ServiceSpec, SyncAgentsSandboxClient

def test_call():
    SyncAgentsSandboxClient("/nowhere/x").run("box-1", ("a",), env_overrides=os.environ)

@pytest.mark.asyncio
async def test_async_call():
    await AgentsSandboxClient("/nowhere/x").run("box-1", ("a",), env_overrides=os.environ)

def test_spec():
    ServiceSpec("db", "db:1", os.environ)

def test_spec_of_a_wrong_type():
    ServiceSpec("db", "db:1", os.environ["TOKEN"])
"""


@pytest.mark.unmeasured
@pytest.mark.once
def test_pytest_does_not_show_them_when_a_test_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", MANGLED)
    pytester.makepyfile(PROGRAM)
    ended = pytester.runpytest_subprocess("-o", "asyncio_mode=strict")
    ended.assert_outcomes(failed=4)
    said = ended.stdout.str() + ended.stderr.str()
    assert SECRET not in said
    assert "raise error" not in said, "it shows the lines of the tests, not ours"


# Docker refuses it as well, with the value in its message.
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("envs", {"": SECRET}),
        ("required_services", [ServiceSpec("db", "db:1", {"": SECRET})]),
        ("optional_services", [ServiceSpec("db", "db:1", {"": SECRET})]),
        ("companion_containers", [CompanionContainerSpec("web", "web:1", {"": SECRET})]),
    ],
)
def test_one_without_a_name_is_refused_and_not_shown(name: str, refused: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="envs has a variable without a name") as caught:
        CLIENT.create_sandbox(image="a:1", **{name: refused})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("release", ["0.2.1", "0.4.3"])
def test_recorded_calls_do_not_show_them(release: str) -> None:
    with FakeDaemon(version=release) as daemon:
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            sandbox = client.create_sandbox(
                image="a:1",
                envs=ENVS,
                config_yaml=f"envs: {{OTHER: {SECRET}}}",
                optional_services=[SERVICE],
            )
            client.run(sandbox.sandbox_id, ("true",), env_overrides=ENVS)
            assert SECRET not in repr(sandbox)
        recorded = {call.method: call for call in daemon.calls}
    assert SECRET not in repr(daemon.calls)
    assert "'TOKEN': ..." in repr(recorded["CreateSandbox"])
    assert repr(recorded["CreateExec"]).startswith(
        f"RecordedCall(method='CreateExec', message=CreateExecRequest("
        f"sandbox_id='{sandbox.sandbox_id}', command=['true'], env_overrides={{'TOKEN': ...}}, "
    )
    assert "\n" not in repr(daemon.calls)
    assert SECRET not in repr(Call("CreateExec", recorded["CreateExec"].message))
