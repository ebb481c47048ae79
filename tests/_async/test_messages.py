"""What users read: messages of a sane length, and tracebacks without our frames."""

from __future__ import annotations

import functools
import gc
import inspect
import traceback
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agents_sandbox
from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    DaemonUnavailableError,
    DurationLike,
    ExecHandle,
    ExecNotFoundError,
    ExecState,
    InvalidArgumentError,
    SandboxClientError,
    SandboxFailedError,
    SandboxHandle,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxState,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from .conftest import LastAttempt

# The daemon accepts no requests over 4 MiB.
LONG = "x" * 1_000_000
# A message may contain an explanation of the daemon of 1,000 characters and several ids.
SANE = 2_000

Call = Callable[[AgentsSandboxClient, Any], Any]


async def first_event(client: AgentsSandboxClient, sandbox_id: Any, **options: Any) -> None:
    async with client.subscribe_sandbox_events(sandbox_id, **options) as events:
        async for _ in events:
            break


# By method: a call with an id of something that exists.
OF_SANDBOXES: Mapping[str, Call] = {
    "get_sandbox": lambda client, one: client.get_sandbox(one),
    "resume_sandbox": lambda client, one: client.resume_sandbox(one),
    "stop_sandbox": lambda client, one: client.stop_sandbox(one),
    "delete_sandbox": lambda client, one: client.delete_sandbox(one),
    "create_exec": lambda client, one: client.create_exec(one, ("true",)),
    "run": lambda client, one: client.run(one, ("true",)),
    "wait_for_sandbox": lambda client, one: client.wait_for_sandbox(one),
    "subscribe_sandbox_events": first_event,
}
OF_EXECS: Mapping[str, Call] = {
    "get_exec": lambda client, one: client.get_exec(one),
    "cancel_exec": lambda client, one: client.cancel_exec(one),
    "wait_for_exec": lambda client, one: client.wait_for_exec(one),
}


def check_sane(error: BaseException) -> None:
    assert len(str(error)) < SANE
    assert len("".join(traceback.format_exception(error))) < 10 * SANE


@pytest.mark.parametrize("method", [*OF_SANDBOXES, *OF_EXECS])
async def test_no_message_grows_with_an_id(client: AgentsSandboxClient, method: str) -> None:
    with pytest.raises(SandboxClientError) as caught:
        await {**OF_SANDBOXES, **OF_EXECS}[method](client, LONG)
    check_sane(caught.value)
    assert LONG in (caught.value.sandbox_id, caught.value.exec_id)


@pytest.mark.usefixtures("short_grace")
async def test_no_message_grows_with_what_the_daemon_says(
    client: AgentsSandboxClient, daemon: FakeDaemon, sandbox: SandboxHandle
) -> None:
    daemon.on_exec(("sleep",)).never()
    run = Background(client.run, sandbox.sandbox_id, ("sleep",))
    await off_loop(daemon.wait_for_streams, 1)
    phase = pb.SandboxPhaseDetails(error_code=LONG, error_message=LONG)
    failed = pb.SandboxEvent(
        event_type=pb.SANDBOX_FAILED, sandbox_state=pb.SANDBOX_STATE_FAILED, sandbox_phase=phase
    )
    daemon.emit(sandbox.sandbox_id, failed)
    with pytest.raises(SandboxFailedError) as caught:
        await run.result()
    check_sane(caught.value)
    assert (caught.value.error_code, caught.value.error_message) == (LONG, LONG)


WAITING: Mapping[str, Callable[[AgentsSandboxClient, Any], Any]] = {
    "create_sandbox": lambda client, wait: client.create_sandbox(image="a:1", wait=wait),
    "resume_sandbox": lambda client, wait: client.resume_sandbox("demo-1", wait=wait),
    "stop_sandbox": lambda client, wait: client.stop_sandbox("demo-1", wait=wait),
    "delete_sandbox": lambda client, wait: client.delete_sandbox("demo-1", wait=wait),
    "delete_sandboxes": lambda client, wait: client.delete_sandboxes({"a": "b"}, wait=wait),
    "delete_leftovers": lambda client, wait: client.delete_leftovers(
        {"a": "b"}, older_than=0, wait=wait
    ),
    "create_exec": lambda client, wait: client.create_exec("demo-1", ("true",), wait=wait),
    "cancel_exec": lambda client, wait: client.cancel_exec("demo-1", wait=wait),
}


@pytest.mark.parametrize("wait", ["no", "", 0, 1, None])
@pytest.mark.parametrize("method", WAITING)
async def test_what_is_no_flag_is_refused_before_any_call(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str, wait: object
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await WAITING[method](client, wait)
    assert str(caught.value) == f"wait must be True or False, not {wait!r}"
    assert daemon.calls == ()


def test_every_method_that_waits_is_covered() -> None:
    assert set(WAITING) == {
        name
        for name, method in inspect.getmembers(AgentsSandboxClient, callable)
        if not name.startswith("_") and "wait" in inspect.signature(method).parameters
    }


SANDBOX = SandboxHandle("demo-1", SandboxState.READY, 3, (), (), {}, None, "a:1")
EXEC = ExecHandle("exec-1", "demo-1", ExecState.RUNNING, ("true",), "", {}, None, None, 4)
TAKING_SANDBOXES: Mapping[str, Call] = {
    **OF_SANDBOXES,
    "list_active_execs": lambda client, one: client.list_active_execs(sandbox_id=one),
}
# The id of something new is text: nothing has it yet.
NAMING: Mapping[str, Call] = {
    "sandbox_id": lambda client, one: client.create_sandbox(image="a:1", sandbox_id=one),
    "exec_id": lambda client, one: client.create_exec("demo-1", ("true",), exec_id=one),
}


@pytest.mark.parametrize(
    ("call", "given", "message"),
    [
        *product(
            TAKING_SANDBOXES.values(),
            [EXEC],
            [r"sandbox_id must be a str, .*, not ExecHandle: pass its \.sandbox_id"],
        ),
        *product(
            TAKING_SANDBOXES.values(),
            [SimpleNamespace(sandbox_id=7)],
            ["sandbox_id must be a str, .*, not SimpleNamespace"],
        ),
        *product(
            OF_EXECS.values(),
            [SANDBOX],
            ["exec_id must be a str, an ExecHandle or .*, not SandboxHandle"],
        ),
        (NAMING["sandbox_id"], SANDBOX, "sandbox_id must be a str, not SandboxHandle: pass its ."),
        (NAMING["exec_id"], EXEC, "exec_id must be a str, not ExecHandle: pass its .exec_id"),
    ],
)
async def test_an_object_of_another_kind_is_no_id(
    client: AgentsSandboxClient, daemon: FakeDaemon, call: Call, given: object, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        await call(client, given)
    assert (caught.value.sandbox_id, caught.value.exec_id) == (None, None)
    assert daemon.calls == ()


@pytest.mark.parametrize("method", TAKING_SANDBOXES)
async def test_a_handle_or_a_sandbox_is_an_id(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str
) -> None:
    outcomes = []
    for one in ("demo-1", SANDBOX, client.attach(SANDBOX)):
        try:
            outcomes.append(repr(await TAKING_SANDBOXES[method](client, one)))
        except SandboxClientError as error:
            outcomes.append(f"{error}, {error.sandbox_id}")
    assert len(set(outcomes)) == 1
    sent = {call.request.sandbox_id for call in daemon.calls if call.method != "Ping"}
    assert sent == {"demo-1"}


@pytest.mark.parametrize("method", OF_EXECS)
async def test_a_handle_of_an_exec_is_an_id(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str
) -> None:
    with pytest.raises(ExecNotFoundError) as caught:
        await OF_EXECS[method](client, EXEC)
    assert caught.value.exec_id == "exec-1"
    assert daemon.calls[0].request.exec_id == "exec-1"


@pytest.mark.parametrize("method", ["create_exec", "run"])
@pytest.mark.parametrize("cwd", ["src", "./src", "~/src", Path("src")])
async def test_a_relative_working_folder_is_refused_before_any_call(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str, cwd: str | Path
) -> None:
    with pytest.raises(InvalidArgumentError, match="cwd must be an absolute path in the sandbox"):
        await getattr(client, method)("demo-1", ("true",), cwd=cwd)
    assert daemon.calls == ()


@pytest.mark.parametrize("timeout", [timedelta(seconds=20), "20s", "0m20s", 20, 20.0], ids=str)
async def test_a_timeout_takes_each_form_of_a_duration(
    daemon: FakeDaemon, timeout: DurationLike
) -> None:
    async with AgentsSandboxClient(
        daemon.socket_path, timeout_seconds=timeout, operation_timeout_seconds=timeout
    ) as client:
        await client.ping()
        await client.ping(timeout_seconds=timeout)
    for call in daemon.calls:
        assert call.time_remaining is not None
        assert 10 < call.time_remaining <= 21


@pytest.mark.parametrize("timeout", [0, "0", "5", "soon", timedelta(0), True])
async def test_what_is_no_timeout_is_refused_before_any_call(
    client: AgentsSandboxClient, daemon: FakeDaemon, timeout: Any
) -> None:
    for call in (
        client.ping,
        functools.partial(client.create_sandbox, image="a:1"),
        functools.partial(client.run, "demo-1", ("true",)),
    ):
        with pytest.raises(InvalidArgumentError, match=r"^timeout_seconds") as caught:
            await call(timeout_seconds=timeout)
        assert repr(timeout) in str(caught.value)
    with pytest.raises(InvalidArgumentError, match=r"^timeout_seconds"):
        client.subscribe_sandbox_events("demo-1", timeout_seconds=timeout)
    assert daemon.calls == ()


async def test_nobody_is_told_to_resume_what_is_deleted(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    await client.delete_sandbox(sandbox.sandbox_id)
    with pytest.raises(SandboxNotReadyError, match="check the state with get_sandbox") as caught:
        await client.run(sandbox.sandbox_id, ("true",))
    assert "resume" not in str(caught.value)


async def test_an_overloaded_daemon_is_worth_a_retry(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateExec", code="RESOURCE_EXHAUSTED", message="too many execs")
    with pytest.raises(DaemonError, match="too many execs") as caught:
        await client.run("demo-1", ("true",))
    assert caught.value.retryable


async def test_a_request_that_is_too_large_is_not(client: AgentsSandboxClient) -> None:
    with pytest.raises(DaemonError, match="larger than max") as caught:
        await client.run("demo-1", ("x" * 5_000_000,))
    assert (caught.value.code, caught.value.retryable) == ("RESOURCE_EXHAUSTED", False)


async def test_a_client_shows_its_socket_its_release_and_whether_it_is_open(
    daemon: FakeDaemon,
) -> None:
    name = AgentsSandboxClient.__name__
    client = AgentsSandboxClient(daemon.socket_path)
    socket = f"socket={daemon.socket_path!r}"
    assert repr(client) == f"<{name} {socket} release=unknown open>"
    await client.list_sandboxes()
    assert repr(client) == f"<{name} {socket} release={daemon.version} open>"
    await client.aclose()
    assert repr(client) == f"<{name} {socket} release={daemon.version} closed>"


async def test_a_client_shows_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    name = AgentsSandboxClient.__name__
    client = AgentsSandboxClient(daemon_version="0.4.1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    assert repr(client) == f"<{name} socket=default release=0.4.1 open>"
    with pytest.raises(DaemonUnavailableError):
        await client.ping()
    assert repr(client) == (f"<{name} socket='/nowhere/agbox/agboxd.sock' release=0.4.1 open>")
    await client.aclose()


# The lines of a traceback that users read, without those of this test.
READABLE = 12


def check_readable(error: BaseException) -> None:
    """Check that a traceback has few lines, only one of our frames, and nothing of gRPC."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    package = str(Path(agents_sandbox.__file__).parent)
    assert len([line for line in lines if package in line]) <= 1
    assert not [line for line in lines if "grpc" in line or "contextlib" in line]
    assert len([line for line in lines if line.strip("^~ ")]) <= READABLE


@pytest.mark.parametrize("method", ["ping", "create_sandbox", *OF_SANDBOXES, *OF_EXECS])
async def test_no_daemon_is_a_traceback_of_a_few_lines(tmp_path: Path, method: str) -> None:
    without_ids: Mapping[str, Call] = {
        "ping": lambda client, one: client.ping(),
        "create_sandbox": lambda client, one: client.create_sandbox(image="a:1"),
    }
    call = {**OF_SANDBOXES, **OF_EXECS, **without_ids}[method]
    async with AgentsSandboxClient(tmp_path / "agboxd.sock") as client:
        with pytest.raises(DaemonUnavailableError) as caught:
            await call(client, "demo-1")
    check_readable(caught.value)
    assert (caught.value.code, caught.value.__cause__) == ("UNAVAILABLE", None)
    assert "connect" in (caught.value.details or "")
    assert "connect" in (caught.value.debug_string or "")


async def test_a_refusal_is_a_traceback_of_a_few_lines(client: AgentsSandboxClient) -> None:
    with pytest.raises(SandboxNotFoundError) as caught:
        await client.run("demo-1", ("true",))
    check_readable(caught.value)
    assert caught.value.details == "sandbox demo-1 was not found"


async def error_of(call: Call, client: AgentsSandboxClient) -> SandboxClientError:
    with pytest.raises(SandboxClientError) as caught:
        await call(client, "demo-sandbox")
    return caught.value


async def read(client: AgentsSandboxClient, sandbox_id: Any) -> None:
    await client.get_sandbox(sandbox_id, timeout_seconds=1)


LOSING: Mapping[str, Call] = {
    "wait": lambda client, one: client.run(one, ("sleep",), timeout_seconds=1),
    # After the start of that command.
    "stream": lambda client, one: first_event(client, one, from_sequence=4, timeout_seconds=1),
    "stream that ends": lambda client, one: first_event(client, one, from_sequence=4, resume=False),
}


async def test_a_lost_daemon_is_a_traceback_of_a_few_lines(
    client: AgentsSandboxClient, daemon: FakeDaemon, sandbox: SandboxHandle
) -> None:
    daemon.on_exec(("sleep",)).never()
    calls = []
    for call in LOSING.values():
        calls.append(Background(error_of, call, client))
        await off_loop(daemon.wait_for_streams, len(calls))
    await off_loop(daemon.kill)
    calls.append(Background(error_of, read, client))
    for ended in calls:
        check_readable(await ended.result())


async def test_a_daemon_that_does_not_answer_is_a_traceback_of_a_few_lines(
    client: AgentsSandboxClient,
    daemon: FakeDaemon,
    sandbox: SandboxHandle,
    last_attempt: LastAttempt,
) -> None:
    last_attempt(1)
    # The first attempt is lost, the second one gets no answer.
    with (
        daemon.faults.delaying(60, method="GetSandbox"),
        daemon.faults.failing(method="GetSandbox", times=1),
    ):
        error = await error_of(read, client)
    check_readable(error)
    assert "no retry succeeded" in str(error)
    assert (error.details, error.debug_string) != (None, None)


async def test_an_error_does_not_outlive_its_last_use(client: AgentsSandboxClient) -> None:
    gc.disable()
    try:
        with pytest.raises(SandboxNotFoundError) as caught:
            await client.get_sandbox("demo-1")
        error = weakref.ref(caught.value)
        del caught
        assert error() is None
    finally:
        gc.enable()


async def test_what_the_caller_handles_stays_in_the_traceback(client: AgentsSandboxClient) -> None:
    mine = ValueError("mine")
    with pytest.raises(SandboxNotFoundError) as caught:
        try:
            raise mine
        except ValueError:
            await client.get_sandbox("demo-1")
    assert caught.value.__context__ is mine
    assert not caught.value.__suppress_context__
