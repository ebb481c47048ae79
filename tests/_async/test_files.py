"""The files of a sandbox, in each mode of the fake daemon: the scripts really run."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    OperationTimeoutError,
    OutputUnavailableError,
    Sandbox,
    SandboxFileError,
    SandboxFileExistsError,
    SandboxFileInfo,
    SandboxFileNotFoundError,
    SandboxFiles,
    SandboxIsADirectoryError,
    SandboxNotADirectoryError,
    SandboxNotReadyError,
    SandboxToolMissingError,
)
from agents_sandbox._output.log_file import LogFile
from agents_sandbox._scripts import files as scripts
from agents_sandbox._shared.helpers import STDIN
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands.isolation import probe

from .._aio import Background, off_loop
from .conftest import IMAGE

# The scripts run in the same way whichever Python starts them.
ISOLATED = pytest.param(
    "isolated",
    marks=[
        pytest.mark.once,
        pytest.mark.skipif(
            bool(probe.obstacle_to_isolation()), reason=probe.obstacle_to_isolation()
        ),
    ],
)
PASSTHROUGH = pytest.param("passthrough", marks=pytest.mark.once)


@pytest.fixture
def mode() -> str:
    return "scripted"


@pytest.fixture
def daemon(mode: Any) -> Iterator[FakeDaemon]:
    with FakeDaemon(exec_mode=mode) as running:
        yield running
        running.assert_no_leaks()


@pytest.fixture
async def sandbox(client: AgentsSandboxClient) -> Sandbox:
    """A READY sandbox."""
    handle = await client.create_sandbox(image="a:1")
    return client.attach(handle.sandbox_id)


@pytest.fixture
async def files(sandbox: Sandbox) -> SandboxFiles:
    """Its files."""
    return sandbox.files


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command writes six bytes."""
    monkeypatch.setattr(scripts, "_PIECE_BYTES", 3)
    monkeypatch.setattr(scripts, "_PIECES", 2)


passthrough_only = pytest.mark.parametrize("mode", [PASSTHROUGH])
in_all_modes = pytest.mark.parametrize("mode", ["scripted", PASSTHROUGH, ISOLATED])
where_commands_run = pytest.mark.parametrize("mode", [PASSTHROUGH, ISOLATED])


@in_all_modes
async def test_bytes_come_back_as_they_were_written(files: SandboxFiles) -> None:
    for size in (0, 1, 131_071):
        data = random.Random(size).randbytes(size)
        await files.write_bytes("data.bin", data)
        assert await files.read_bytes("/workspace/data.bin") == data


@pytest.mark.slow
@where_commands_run
async def test_large_files_come_back_as_they_were_written(
    files: SandboxFiles, tmp_path: Path
) -> None:
    for size in (2**20, 8 * 2**20):
        data = random.Random(size).randbytes(size)
        await files.write_bytes("data.bin", memoryview(data))
        assert await files.read_bytes("data.bin") == data
    await files.download("data.bin", tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == data


async def test_a_file_longer_than_one_command_is_whole(
    files: SandboxFiles, small_pieces: None
) -> None:
    for size in (6, 7, 18):
        data = bytes(range(size))
        await files.write_bytes("/workspace/data", bytearray(data))
        assert await files.read_bytes("data") == data
    assert [entry.name for entry in await files.list()] == ["data"]


async def test_text_has_an_encoding_and_keeps_its_line_ends(files: SandboxFiles) -> None:
    await files.write_text("text", "zwölf\r\n\n")
    assert await files.read_bytes("text") == "zwölf\r\n\n".encode()
    assert await files.read_text("text") == "zwölf\r\n\n"
    await files.write_text("text", "zwölf", "latin-1")
    assert await files.read_text("text", encoding="latin-1") == "zwölf"
    with pytest.raises(UnicodeDecodeError):
        await files.read_text("text")
    with pytest.raises(UnicodeEncodeError):
        await files.write_text("text", "zwölf", "ascii")


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.binary(min_size=1, max_size=255).filter(
        lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..")
    ),
    data=st.binary(max_size=100),
)
async def test_every_name_and_content(files: SandboxFiles, name: bytes, data: bytes) -> None:
    await files.write_bytes(name, data)
    assert await files.read_bytes(os.fsdecode(name)) == data
    assert SandboxFileInfo(os.fsdecode(name), "file", len(data)) in await files.list()
    await files.remove(name)


async def test_what_is_in_the_way_is_named(files: SandboxFiles) -> None:
    await files.write_text("file", "")
    await files.mkdir("folder/inner", parents=True)
    for call, kind in (
        (lambda: files.read_bytes("missing"), SandboxFileNotFoundError),
        (lambda: files.read_bytes("folder"), SandboxIsADirectoryError),
        (lambda: files.read_bytes("file/x"), SandboxNotADirectoryError),
        (lambda: files.write_text("missing/x", ""), SandboxFileNotFoundError),
        (lambda: files.write_text("file/x", ""), SandboxNotADirectoryError),
        (lambda: files.write_text("folder/", ""), SandboxIsADirectoryError),
        (lambda: files.list("missing"), SandboxFileNotFoundError),
        (lambda: files.list("file"), SandboxNotADirectoryError),
        (lambda: files.remove("missing"), SandboxFileNotFoundError),
        (lambda: files.mkdir("file", exist_ok=True), SandboxFileExistsError),
        (lambda: files.mkdir("folder"), SandboxFileExistsError),
        (lambda: files.mkdir("missing/x"), SandboxFileNotFoundError),
        (lambda: files.mkdir("file/x/y", parents=True), SandboxNotADirectoryError),
    ):
        with pytest.raises(kind) as caught:
            await call()
        assert type(caught.value) is kind
        assert caught.value.sandbox_id is not None


async def test_an_error_has_all_facts(files: SandboxFiles, sandbox: Sandbox) -> None:
    with pytest.raises(SandboxFileNotFoundError) as caught:
        await files.read_bytes("missing")
    error = caught.value
    assert (error.errno, error.filename, error.sandbox_id) == (2, "missing", sandbox.id)
    assert str(error) == f"read_bytes of 'missing' in sandbox {sandbox.id}: no such file or folder"
    assert error.exec_id is not None
    with pytest.raises(SandboxFileNotFoundError, match="its folder '/workspace/missing' does not"):
        await files.write_text("missing/x", "")
    with pytest.raises(SandboxFileNotFoundError, match="its folder '/x' does not exist"):
        await files.mkdir("/x/y")
    with pytest.raises(SandboxFileNotFoundError) as caught:
        await files.remove(b"/\xff")
    assert caught.value.filename == b"/\xff"


async def test_only_an_empty_folder_is_removed_without_its_content(files: SandboxFiles) -> None:
    await files.mkdir("a/b/c", parents=True)
    await files.mkdir("a/b/c", parents=True, exist_ok=True)
    with pytest.raises(SandboxFileError) as caught:
        await files.remove("a/b")
    assert caught.value.errno == 39
    assert "not empty: pass recursive=True" in str(caught.value)
    await files.remove("a/b/c")
    assert await files.list("a/b") == []
    await files.remove("a", recursive=True)
    assert not await files.exists("a/b")


@passthrough_only
async def test_a_new_file_has_the_mode_of_new_files(files: SandboxFiles, sandbox: Sandbox) -> None:
    await files.write_text("ours", "")
    modes = await sandbox.run(("sh", "-c", ": >theirs; stat -c %a ours theirs"), check=True)
    ours, theirs = modes.stdout.split()
    assert ours == theirs


async def test_one_of_two_writers_wins_whole(files: SandboxFiles, small_pieces: None) -> None:
    writers = [Background(files.write_bytes, "data", bytes([i]) * 20) for i in range(3)]
    for writer in writers:
        await writer.result()
    data = await files.read_bytes("data")
    assert data in [bytes([i]) * 20 for i in range(3)]
    assert [entry.name for entry in await files.list()] == ["data"]


async def test_a_write_that_fails_in_the_middle_leaves_nothing(
    files: SandboxFiles, daemon: FakeDaemon, small_pieces: None
) -> None:
    with daemon.paused():
        writing = Background(files.write_bytes, "x", b"a new content")
        await off_loop(daemon.wait_for_call, "CreateExec")
        daemon.faults.fail_next("CreateExec", code="RESOURCE_EXHAUSTED")
    with pytest.raises(DaemonError):
        await writing.result()
    assert await files.list() == []


async def test_files_go_to_this_host_and_come_from_it(files: SandboxFiles, tmp_path: Path) -> None:
    await files.write_bytes("data", b"\0\xff")
    target = tmp_path / "target"
    target.write_text("older, and longer")
    target.chmod(0o600)
    (tmp_path / "link").symlink_to("target")
    await files.download("data", tmp_path / "link")
    assert target.read_bytes() == b"\0\xff"
    assert target.stat().st_mode & 0o777 == 0o600
    await files.download("data", str(tmp_path / "new"))
    await files.upload(tmp_path / "new", "back")
    assert await files.read_bytes("back") == b"\0\xff"
    with pytest.raises(SandboxFileNotFoundError):
        await files.download("missing", target)
    assert target.read_bytes() == b"\0\xff"
    assert {path.name for path in tmp_path.iterdir()} == {"link", "new", "target"}


async def test_what_is_wrong_on_this_host_is_an_error_of_this_host(
    files: SandboxFiles, tmp_path: Path, daemon: FakeDaemon
) -> None:
    before = len(daemon.calls)
    os.mkfifo(tmp_path / "fifo")
    wrong: Any = b"bytes"
    calls: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: files.download("data", tmp_path), IsADirectoryError),
        (lambda: files.download("data", tmp_path / "missing" / "x"), FileNotFoundError),
        (lambda: files.upload(tmp_path / "missing", "x"), FileNotFoundError),
        (lambda: files.upload(tmp_path, "x"), IsADirectoryError),
        (lambda: files.upload(tmp_path / "fifo", "x"), InvalidArgumentError),
        (lambda: files.upload("", "x"), FileNotFoundError),
        (lambda: files.upload(wrong, "x"), InvalidArgumentTypeError),
    ]
    for call, kind in calls:
        with pytest.raises(kind) as caught:
            await call()
        assert not isinstance(caught.value, SandboxFileError)
    assert len(daemon.calls) == before


async def test_what_cannot_be_right_is_refused_before_any_call(
    files: SandboxFiles, sandbox: Sandbox, tmp_path: Path, daemon: FakeDaemon
) -> None:
    calls = len(daemon.calls)
    many = bytes(8 * 2**20 + 1)
    (tmp_path / "many").write_bytes(many)
    wrong: Any = 1
    for call, why in (
        (
            lambda: files.write_bytes("x", many),
            "8 MiB, .* 8388609 bytes: .* mount, a copy or works",
        ),
        (lambda: files.write_text("x", "x" * len(many)), "8 MiB"),
        (lambda: files.upload(tmp_path / "many", "x"), "8 MiB"),
        (lambda: sandbox.run(("cat",), input=many), "input must not be longer than 8 MiB"),
        (lambda: sandbox.run(("cat",), input="\udcff"), "input is not valid Unicode"),
        (lambda: files.read_bytes("a\0b"), "NUL"),
        (lambda: files.read_bytes(""), "path must not be empty"),
        (lambda: files.read_bytes("\ud800"), "path is not valid Unicode text: .* index 0"),
        (lambda: files.read_bytes("x/" * 3000), "longer than 4095 bytes"),
        (lambda: files.exists("x" * 256), "name of more than 255 bytes"),
    ):
        with pytest.raises(InvalidArgumentError, match=why):
            await call()
    for call, why in (
        (lambda: files.read_bytes(wrong), "path must be a str, bytes or os.PathLike, not int"),
        (lambda: files.write_bytes("x", wrong), "data must be bytes, not int"),
        (lambda: files.write_bytes("x", "text"), "data must be bytes, not str"),  # type: ignore[arg-type] # wrong
        (lambda: files.write_text("x", wrong), "text must be a str, not int"),
        (lambda: files.remove("x", wrong), "recursive must be True or False"),
        (lambda: sandbox.run(("cat",), input=wrong), "input must be str or bytes, not int"),
    ):
        with pytest.raises(InvalidArgumentTypeError, match=why):
            await call()
    with pytest.raises(InvalidArgumentTypeError, match="input must be str or bytes, not int"):
        sandbox.start(("cat",), input=wrong)
    assert len(daemon.calls) == calls


async def test_a_file_operation_has_a_timeout(
    files: SandboxFiles, sandbox: Sandbox, daemon: FakeDaemon
) -> None:
    await files.write_text("x", "text", timeout_seconds=20)
    with daemon.paused(), pytest.raises(OperationTimeoutError) as caught:
        await files.read_bytes("x", timeout_seconds=0.05)
    assert str(caught.value) == (
        f"read_bytes of 'x' in sandbox {sandbox.id} did not end within 0.05 s"
    )
    assert caught.value.timeout_seconds == 0.05
    await sandbox.delete()


async def test_the_clients_own_timeout_is_that_of_file_operations(daemon: FakeDaemon) -> None:
    async with (
        AgentsSandboxClient(daemon.socket_path, exec_timeout_seconds=0.1) as client,
        client.sandbox(image=IMAGE) as sandbox,
    ):
        expected = r"^exists of 'x' .* within 0\.1 s$"
        with daemon.paused(), pytest.raises(OperationTimeoutError, match=expected):
            await sandbox.files.exists("x")
        await sandbox.delete()  # ends its command


async def test_a_path_with_a_slash_at_its_end_is_that_of_a_folder(
    files: SandboxFiles, tmp_path: Path
) -> None:
    await files.write_text("file", "text")
    await files.mkdir("folder/")
    calls: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: files.read_bytes("file/"), SandboxNotADirectoryError),
        (lambda: files.read_bytes("folder/"), SandboxIsADirectoryError),
        (lambda: files.read_bytes("new/"), SandboxFileNotFoundError),
        (lambda: files.write_text("file/", ""), SandboxNotADirectoryError),
        (lambda: files.write_text("folder/", ""), SandboxIsADirectoryError),
        (lambda: files.write_text("/", ""), SandboxIsADirectoryError),
        (lambda: files.write_text("new/", ""), SandboxFileNotFoundError),
        (lambda: files.download("file/", tmp_path / "x"), SandboxNotADirectoryError),
        (lambda: files.remove("file/"), SandboxNotADirectoryError),
        (lambda: files.remove("new/"), SandboxFileNotFoundError),
    ]
    for call, kind in calls:
        with pytest.raises(kind):
            await call()
    assert [await files.exists(path) for path in ("file", "file/", "folder/", "new/", "/")] == [
        True,
        False,
        True,
        False,
        True,
    ]
    await files.remove("folder/")
    assert [entry.name for entry in await files.list("/workspace/")] == ["file"]


@pytest.mark.parametrize(
    ("write", "path", "folder"),
    [
        (True, "missing/new", "/workspace/missing"),
        (True, "missing/", "/workspace/missing"),
        (False, "missing/new", "/workspace/missing"),
        (False, "missing/new/", "/workspace/missing"),
    ],
)
async def test_the_folder_that_is_missing_is_named(
    files: SandboxFiles, write: bool, path: str, folder: str
) -> None:
    with pytest.raises(SandboxFileNotFoundError, match=f"its folder '{folder}' does not exist"):
        await (files.write_text(path, "") if write else files.mkdir(path))


async def test_a_sandbox_that_is_not_ready_has_no_files(
    files: SandboxFiles, sandbox: Sandbox
) -> None:
    await files.write_text("x", "kept")
    await sandbox.stop()
    with pytest.raises(SandboxNotReadyError):
        await files.exists("x")
    await sandbox.resume()
    assert await files.read_text("x") == "kept"
    assert repr(files) == f"<{type(files).__name__} of sandbox {sandbox.id}>"
    assert sandbox.files is files


@passthrough_only
async def test_without_logs_only_what_reports_nothing_works(
    files: SandboxFiles, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents_sandbox._output.file_answers.LogFile", _unavailable)
    await files.write_text("x", "text")
    await files.mkdir("folder")
    assert await files.exists("folder")
    assert not await files.exists("missing")
    with pytest.raises(SandboxFileNotFoundError):
        await files.remove("missing")
    for call in (lambda: files.read_bytes("x"), files.list):
        with pytest.raises(OutputUnavailableError) as caught:
            await call()
        assert caught.value.problem == "other_host"
        execs = [call.request for call in daemon.calls if call.method == "CreateExec"]
        assert caught.value.exec_id == execs[-1].exec_id


def _unavailable(path: str, limit: int = 0) -> None:
    raise OutputUnavailableError(message="it is elsewhere", problem="other_host")


async def with_shell(client: AgentsSandboxClient, folder: Path, prelude: str) -> Sandbox:
    """A sandbox whose `sh` does something else before it runs a script of the client."""
    shell = folder / "sh"
    shell.write_text(
        f'#!/bin/sh\ncase $3 in agents-sandbox-*)\n{prelude}\n;; esac\nexec /bin/sh "$@"\n'
    )
    shell.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    handle = await client.create_sandbox(image="a:1", envs={"PATH": path})
    return client.attach(handle.sandbox_id)


async def test_an_output_that_is_shortened_while_it_is_read_is_no_file(
    files: SandboxFiles, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await files.write_bytes("x", b"1234")
    monkeypatch.setattr(LogFile, "read", _read_as_hostile(LogFile.read))
    with pytest.raises(SandboxFileError, match="its output was changed while it was read"):
        await files.read_bytes("x")


def _read_as_hostile(read: Any) -> Any:
    # The marks are read first.
    offsets: list[int] = []

    def shortened(log: LogFile, offset: int, limit: int) -> Any:
        offsets.append(offset)
        return read(log, offset, limit) if len(offsets) <= 2 else b""

    return shortened


SHELLS = {
    "a banner": "echo Welcome",
    "a banner at the end": '/bin/sh "$@"; code=$?; echo Bye; exit $code',
    "no shell": "exit 0",
    "another program": "exit 81",
}


@passthrough_only
@pytest.mark.parametrize("prelude", SHELLS.values(), ids=SHELLS)
async def test_what_another_shell_prints_is_no_answer(
    client: AgentsSandboxClient, tmp_path: Path, prelude: str
) -> None:
    sandbox = await with_shell(client, tmp_path, prelude)
    with pytest.raises(SandboxToolMissingError, match="the image has no sh that works") as caught:
        await sandbox.files.read_bytes("/etc/passwd")
    assert caught.value.tool == "sh"


@passthrough_only
async def test_a_killed_script_gives_no_answer(client: AgentsSandboxClient, tmp_path: Path) -> None:
    sandbox = await with_shell(client, tmp_path, "exit 137")
    with pytest.raises(SandboxFileError, match="ended with exit code 137: its messages are in"):
        await sandbox.files.read_bytes("/etc/passwd")


@passthrough_only
async def test_a_missing_tool_is_named(
    client: AgentsSandboxClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = await with_shell(client, tmp_path, "export PATH=/nowhere")
    with pytest.raises(SandboxToolMissingError, match="the image lacks base64") as caught:
        await sandbox.files.write_bytes("x", b"")
    assert caught.value.tool == "base64"
    with pytest.raises(SandboxToolMissingError, match=r"input of a command .* needs base64"):
        await sandbox.run(("cat",), input="x")
    monkeypatch.setattr("agents_sandbox._output.file_answers.LogFile", _unavailable)
    with pytest.raises(SandboxToolMissingError, match="the image lacks a program"):
        await sandbox.files.write_bytes("x", b"")


async def test_a_command_that_cannot_be_run_is_no_answer(
    files: SandboxFiles, daemon: FakeDaemon, client: AgentsSandboxClient
) -> None:
    with daemon.paused():
        reading = Background(files.read_bytes, "x")
        await off_loop(daemon.wait_for_call, "CreateExec")
        (exec_handle,) = await client.list_active_execs()
        await client.cancel_exec(exec_handle.exec_id, wait=False)
    with pytest.raises(SandboxFileError, match="its command could not be run: CANCELLED"):
        await reading.result()


@passthrough_only
async def test_input_reaches_a_command(sandbox: Sandbox) -> None:
    script = "cat; printf '<%s>' \"$@\" >&2; exit 3"
    argv = ("sh", "-c", script, "-", "a b", "", "*")
    for size in (0, 6, 98_302):
        data = random.Random(size).randbytes(size)
        result = await sandbox.run(argv, input=data)
        assert (result.stdout_bytes, result.exit_code) == (data, 3)
        assert result.stderr == "<a b><><*>"
        assert result.command == argv
    variables = [
        (
            await sandbox.run(("env",), env_overrides={"file": "kept"}, exec_id=name, input=data)
        ).stdout
        for name, data in (("with-input", "x"), ("without-input", None))
    ]
    ours, theirs = (
        sorted(line for line in text.splitlines() if not line.endswith("-input"))
        for text in variables
    )
    assert ours == theirs


@passthrough_only
async def test_input_reaches_a_command_that_is_started(sandbox: Sandbox) -> None:
    for size in (0, 6, 98_302):
        data = random.Random(size).randbytes(size)
        async with sandbox.start(("sh", "-c", "cat; exit 3"), input=data) as process:
            seen = [chunk.data async for chunk in process.output()]
        assert (b"".join(seen), process.exit_code) == (data, 3)
        assert (await process.wait()).stdout_bytes == data


@passthrough_only
async def test_input_of_a_command_that_is_killed_is_removed(
    client: AgentsSandboxClient, daemon: FakeDaemon, tmp_path: Path
) -> None:
    """It is killed before it has read it."""

    def file_of_last() -> Path:
        commands = [call.request.command for call in daemon.calls if call.method == "CreateExec"]
        return next(Path(argv[4]) for argv in commands[::-1] if argv[3:4] == (STDIN,))

    sandbox = await with_shell(client, tmp_path, f'[ "$3" != {STDIN} ] || exec sleep 1000')
    for size, in_file in (1, False), (98_302, True):
        process = await sandbox.start(("cat",), input="x" * size).begin()
        assert file_of_last().exists() is in_file
        await process.kill()
        assert not file_of_last().exists()
        async with sandbox.start(("cat",), input="x" * size):
            assert file_of_last().exists() is in_file
        assert not file_of_last().exists()


@passthrough_only
async def test_without_its_input_no_command_starts(
    client: AgentsSandboxClient, tmp_path: Path
) -> None:
    broken = tmp_path / "base64"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    sandbox = await with_shell(client, tmp_path, "")
    with pytest.raises(SandboxFileError, match=r"^input of a command .* file in /tmp") as caught:
        await sandbox.run(("cat",), input="x")
    assert not Path(str(caught.value.filename)).exists()
    with pytest.raises(SandboxFileError, match=r"^input of '/tmp/") as caught:
        await sandbox.run(("cat",), input="x" * 98_302)
    assert not Path(str(caught.value.filename)).exists()
    process = await sandbox.start(("cat",), input="x").begin()
    with pytest.raises(SandboxFileError, match=r"^input of a command .* file in /tmp"):
        await process.wait()
    with pytest.raises(SandboxFileError, match=r"^input of '/tmp/"):
        await sandbox.start(("cat",), input="x" * 98_302).begin()


async def test_input_that_does_not_arrive_in_time(sandbox: Sandbox, daemon: FakeDaemon) -> None:
    daemon.faults.fail_next("CreateExec", code="DEADLINE_EXCEEDED")
    with pytest.raises(
        OperationTimeoutError, match=r"input of exec my-exec did not arrive .* was not started"
    ) as caught:
        await sandbox.run(
            ("cat",), input="x" * 98_302, exec_id="my-exec", kill_on_timeout=True, timeout_seconds=9
        )
    error = caught.value
    assert (error.exec_id, error.sandbox_id) == ("my-exec", sandbox.id)
    assert (error.timeout_seconds, error.last_handle) == (9, None)
    assert "my-exec" not in [item.exec_id for item in daemon.execs]


@passthrough_only
async def test_commands_may_use_the_same_exit_codes(sandbox: Sandbox) -> None:
    for script in ("exit 89", "echo agents-sandbox-stdin 89 >&2; exit 89"):
        assert (await sandbox.run(("sh", "-c", script), input="x")).exit_code == 89


@passthrough_only
async def test_an_exit_code_of_an_unknown_command_is_its_own(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents_sandbox._output.result.read_end", _unavailable)
    result = await sandbox.run(("sh", "-c", "exit 89"), input="x")
    assert result.exit_code == 89


async def test_the_input_of_a_scripted_command_is_in_its_context(
    sandbox: Sandbox, daemon: FakeDaemon, small_pieces: None
) -> None:
    seen: list[bytes] = []
    daemon.on_exec(("cat",)).call(lambda context: seen.append(context.stdin))
    for data in ("", "ab", "a longer one"):
        result = await sandbox.run(("cat",), input=data)
        assert result.command == ("cat",)
        await sandbox.run(("unscripted",), input=data)
    await sandbox.run(("cat",))
    assert seen == [b"", b"ab", b"a longer one", b""]
    assert await sandbox.files.list("/tmp") == []
    # The client's own commands are not among them.
    assert [item.argv for item in daemon.execs] == 3 * [("cat",), ("unscripted",)] + [("cat",)]
