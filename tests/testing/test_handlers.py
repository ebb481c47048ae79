"""Handlers: functions of the test that replace the process of an exec."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ExecContext, FakeDaemon
from agents_sandbox.testing._commands import handlers

from .raw import TIMEOUT, Raw, connected


@pytest.fixture
def raw(daemon: FakeDaemon) -> Iterator[Raw]:
    with connected(daemon) as client:
        client.ready(envs={"BOX": "box", "BOTH": "box"})
        yield client


def outcome(status: pb.ExecStatus) -> tuple[str, int, str]:
    state = pb.ExecState.Name(status.state).removeprefix("EXEC_STATE_")
    return state, status.exit_code, status.error


def test_plain_function_is_the_process(raw: Raw) -> None:
    seen: list[ExecContext] = []

    def handler(context: ExecContext) -> int:
        seen.append(context)
        context.write_stdout("caf\u00e9")
        context.write_stderr(b"\xff")
        return 3

    raw.daemon.on_exec(["make", "all"]).stdout("first ").call(handler)
    answer = raw.start("make", "all", cwd="/src", env_overrides={"BOTH": "exec"})

    assert outcome(raw.finished()) == ("FAILED", 3, "docker exec failed: exit code 3")
    assert Path(answer.stdout_log_path).read_bytes() == b"first caf\xc3\xa9"
    assert Path(answer.stderr_log_path).read_bytes() == b"\xff"
    (context,) = seen
    assert (context.sandbox_id, context.exec_id) == ("box-1", "exec-1")
    assert (context.argv, context.cwd) == (("make", "all"), "/src")
    assert context.env == {"BOX": "box", "BOTH": "exec"}


def test_none_is_success_and_the_default_folder_is_the_workspace(raw: Raw) -> None:
    raw.daemon.on_exec(["pwd"]).call(lambda context: context.write_stdout(context.cwd))
    answer = raw.start("pwd")
    assert outcome(raw.finished()) == ("FINISHED", 0, "")
    assert Path(answer.stdout_log_path).read_text() == "/workspace"


def test_plain_function_may_block(raw: Raw) -> None:
    proceed = threading.Event()
    raw.daemon.on_exec(["wait"]).call(lambda _: 0 if proceed.wait(TIMEOUT) else 1)
    raw.start("wait", exec_id="waiting")
    raw.start("true")
    assert raw.finished().state == pb.EXEC_STATE_FINISHED
    assert raw.exec("waiting").state == pb.EXEC_STATE_RUNNING
    proceed.set()
    assert raw.finished("waiting").exit_code == 0


class Callable_:  # noqa: N801 - `Callable` is taken
    async def __call__(self, context: ExecContext) -> int:
        return await coroutine(context)


async def coroutine(context: ExecContext) -> int:
    context.write_stdout(threading.current_thread().name)
    await context.sleep(0)  # a turn of the loop, not time
    return 4


def indirect(context: ExecContext) -> Awaitable[int]:
    return coroutine(context)


@pytest.mark.parametrize("handler", [coroutine, partial(coroutine), Callable_(), indirect])
def test_coroutine_function_runs_on_the_loop(
    raw: Raw, handler: Callable[[ExecContext], object]
) -> None:
    raw.daemon.on_exec(["make"]).call(handler)  # type: ignore[arg-type]  # wrong on purpose
    answer = raw.start("make")
    assert raw.finished().exit_code == 4
    assert Path(answer.stdout_log_path).read_text() == "fake-agboxd"


def failing(how: BaseException, *, in_coroutine: bool) -> Callable[[ExecContext], object]:
    def plain(_: ExecContext) -> int:
        raise how

    async def on_loop(_: ExecContext) -> int:
        raise how

    return on_loop if in_coroutine else plain


@pytest.mark.parametrize("in_coroutine", [False, True])
@pytest.mark.parametrize("error", [KeyError("x"), pytest.fail.Exception("no"), SystemExit(3)])
def test_what_a_handler_raises_fails_the_exec_and_the_test(
    error: BaseException, in_coroutine: bool
) -> None:
    daemon = FakeDaemon()
    with pytest.raises(type(error)) as caught, daemon, connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["make"]).call(failing(error, in_coroutine=in_coroutine))  # type: ignore[arg-type]  # wrong on purpose
        raw.start("make")
        what = f"the handler of ('make',) raised {type(error).__name__}: {error}"
        assert outcome(raw.finished()) == ("FAILED", 0, what)
    assert caught.value is error
    daemon.stop()  # does not raise it again


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        ("0", TypeError, "must return an exit code or None, not '0'"),
        (True, TypeError, "must return an exit code or None, not True"),
        (256, ValueError, "must be in 0..255, not 256"),
    ],
)
def test_invalid_exit_code_is_an_error(
    result: object, error: type[Exception], message: str
) -> None:
    daemon = FakeDaemon()
    with pytest.raises(error, match=message), daemon, connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["make"]).call(lambda _: result)  # type: ignore[arg-type,return-value]  # wrong on purpose
        raw.start("make")
        assert message in raw.finished().error


def test_exhausted_iterator_is_an_error_too() -> None:
    answers: Iterator[int] = iter(())
    daemon = FakeDaemon()
    with (
        pytest.raises(RuntimeError, match="raised StopIteration"),
        daemon,
        connected(daemon) as raw,
    ):
        raw.ready()
        daemon.on_exec(["make"]).call(lambda _: next(answers))
        raw.start("make")
        assert raw.finished().state == pb.EXEC_STATE_FAILED


async def test_first_error_is_raised_and_no_other_exception_is_replaced() -> None:
    async def body(daemon: FakeDaemon) -> None:
        daemon.on_exec(["first"]).call(failing(KeyError("first"), in_coroutine=False))  # type: ignore[arg-type]  # wrong on purpose
        daemon.on_exec(["second"]).call(failing(KeyError("second"), in_coroutine=True))  # type: ignore[arg-type]  # wrong on purpose

        def run_both() -> None:
            with connected(daemon) as raw:
                raw.ready()
                for name in ("first", "second"):
                    raw.start(name, exec_id=name)
                    raw.finished(name)

        await asyncio.to_thread(run_both)

    with pytest.raises(KeyError, match="first"):
        async with FakeDaemon() as daemon:
            await body(daemon)
    with pytest.raises(ZeroDivisionError):
        async with FakeDaemon() as daemon:
            await body(daemon)
            raise ZeroDivisionError


def test_function_outlives_its_sandbox_but_cannot_write(raw: Raw) -> None:
    started, proceed, ended = threading.Event(), threading.Event(), threading.Event()

    def handler(context: ExecContext) -> None:
        context.write_stdout("before")
        started.set()
        proceed.wait(TIMEOUT)
        with pytest.raises(BrokenPipeError, match="cannot write to stdout: the command"):
            context.write_stdout("after")
        ended.set()

    raw.daemon.on_exec(["make"]).call(handler)
    answer = raw.start("make")
    assert started.wait(TIMEOUT)
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    proceed.set()
    assert ended.wait(TIMEOUT)
    assert raw.exec().exit_code == 137
    assert not Path(answer.stdout_log_path).exists()


@pytest.mark.parametrize("closed", [False, True])
def test_a_log_that_disappears_during_a_write(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    seen: list[type[Exception]] = []

    def handler(context: ExecContext) -> None:
        def disappear(*_: object) -> None:
            if closed:
                context._output.close()
            raise FileNotFoundError

        monkeypatch.setattr(handlers, "append_to_log", disappear)
        try:
            context.write_stdout("x")
        except OSError as error:
            seen.append(type(error))

    raw.daemon.on_exec(["make"]).call(handler)
    raw.start("make")
    raw.finished()
    assert seen == [BrokenPipeError if closed else FileNotFoundError]


def test_function_outlives_the_daemon() -> None:
    proceed, started = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def handler(_: ExecContext) -> None:
        threads.append(threading.current_thread())
        started.set()
        proceed.wait(TIMEOUT)

    with FakeDaemon() as daemon, connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["make"]).call(handler)
        raw.start("make")
        assert started.wait(TIMEOUT)
    proceed.set()
    # It cannot deliver its result; an error in its thread would fail the test.
    threads[0].join(TIMEOUT)
    assert not threads[0].is_alive()


def test_coroutine_is_cancelled_with_its_sandbox(raw: Raw) -> None:
    cleaned_up = threading.Event()

    async def handler(_: ExecContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()

    raw.daemon.on_exec(["make"]).call(handler)
    with raw.daemon.paused() as pause:
        raw.start("make")
        pause.step()
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert cleaned_up.wait(TIMEOUT)
    assert raw.exec().exit_code == 137


def test_cancelled_exec_continues_writing(raw: Raw) -> None:
    started, proceed, written = threading.Event(), threading.Event(), threading.Event()

    def handler(context: ExecContext) -> None:
        context.write_stdout("before ")
        started.set()
        proceed.wait(TIMEOUT)
        context.write_stdout("after")
        written.set()

    raw.daemon.on_exec(["make"]).call(handler)
    answer = raw.start("make")
    assert started.wait(TIMEOUT)
    raw(methods.CANCEL_EXEC, exec_id="exec-1")
    proceed.set()
    assert written.wait(TIMEOUT)
    assert Path(answer.stdout_log_path).read_text() == "before after"
    assert outcome(raw.exec()) == ("CANCELLED", 0, "")
