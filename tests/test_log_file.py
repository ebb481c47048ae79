"""Log files are read without trust: a command in the sandbox can put anything in their place."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from agents_sandbox import OutputUnavailableError
from agents_sandbox._arguments.creates import NO_LOGS, LogPaths
from agents_sandbox._output import log_book
from agents_sandbox._output.log_book import LogBook
from agents_sandbox._output.log_file import _PIECE_BYTES, LogFile, read_end

T = TypeVar("T")

SECRET = b"a file of the host"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log file in the layout of the daemon, beside a file that nobody may read through it."""
    (tmp_path / "secret").write_bytes(SECRET)
    path = tmp_path / "logs" / "box-1" / "exec-1.stdout.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """No test leaves a file open."""
    before = open_files()
    yield
    assert open_files() <= before


def open_files() -> set[tuple[int, int, int]]:
    """The files and folders that are open; sockets and pipes of other tests come and go."""
    found = set()
    for name in Path("/dev/fd").iterdir():
        with suppress(OSError):  # that of the listing itself
            status = os.fstat(int(name.name))
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                found.add((int(name.name), status.st_dev, status.st_ino))
    return found


def end_of(path: Path | str | None, limit: int = 100) -> tuple[bytes, bool]:
    reading = read_end(None if path is None else str(path), limit)
    try:
        while True:
            next(reading)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return] # StopIteration's


def problem_of(path: Path | str | None) -> str | None:
    with pytest.raises(OutputUnavailableError) as caught:
        end_of(path)
    assert caught.value.problem is not None
    if path is not None and len(str(path)) < 300:
        assert str(path).split("\0")[0] in str(caught.value)
    assert SECRET.decode() not in str(caught.value)
    return caught.value.problem


@pytest.mark.parametrize(
    ("limit", "data", "truncated"),
    [
        (0, b"", True),
        (1, b"9", True),
        (9, b"123456789", True),
        (10, b"0123456789", False),
        (1 << 62, b"0123456789", False),
    ],
)
def test_the_end_of_a_log_is_kept(log: Path, limit: int, data: bytes, truncated: bool) -> None:
    assert end_of(log, limit) == (data, truncated)


def test_an_empty_log_is_empty(log: Path) -> None:
    log.write_bytes(b"")
    assert end_of(log) == (b"", False)
    assert end_of(log, 0) == (b"", False)


def test_others_have_a_turn_between_the_pieces_of_a_long_log(log: Path) -> None:
    content = os.urandom(2 * _PIECE_BYTES + 1)
    log.write_bytes(content)
    reading = read_end(str(log), len(content))
    assert [next(reading), next(reading)] == [None, None]
    with pytest.raises(StopIteration) as end:
        next(reading)
    assert end.value.value == (content, False)


def test_a_reader_that_is_interrupted_closes_the_file(log: Path) -> None:
    log.write_bytes(bytes(_PIECE_BYTES + 1))
    reading = read_end(str(log), 2 * _PIECE_BYTES)
    next(reading)
    reading.close()  # and the fixture looks for open files


def link_at_the_file(log: Path) -> None:
    log.unlink()
    log.symlink_to(log.parent.parent.parent / "secret")


def link_that_dangles(log: Path) -> None:
    log.unlink()
    log.symlink_to("nowhere")


def link_to_itself(log: Path) -> None:
    log.unlink()
    log.symlink_to(log)


def link_at_the_folder(log: Path) -> None:
    elsewhere = log.parent.parent / "elsewhere"
    log.parent.rename(elsewhere)
    log.parent.symlink_to(elsewhere)


def fifo(log: Path) -> None:
    log.unlink()
    os.mkfifo(log)


def folder(log: Path) -> None:
    log.unlink()
    log.mkdir()


ATTACKS = [link_at_the_file, link_that_dangles, link_to_itself, link_at_the_folder, fifo, folder]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_no_file_of_the_folder_is_refused(log: Path, attack: Any) -> None:
    attack(log)
    assert problem_of(log) == "unsafe"


@pytest.mark.parametrize("attack", [link_at_the_file, fifo, folder])
def test_what_takes_the_place_of_a_file_after_the_look_is_refused(
    log: Path, monkeypatch: pytest.MonkeyPatch, attack: Any
) -> None:
    look = LogFile._look

    def look_and_lose(self: LogFile, name: str, folder: int) -> os.stat_result:
        found = look(self, name, folder)
        attack(log)
        return found

    monkeypatch.setattr(LogFile, "_look", look_and_lose)
    assert problem_of(log) == "unsafe"


def test_a_fifo_with_a_writer_is_refused(log: Path) -> None:
    fifo(log)
    writer = os.open(log, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(writer, b"bait")
        assert problem_of(log) == "unsafe"
        assert os.read(writer, 10) == b"bait"  # nobody has even opened it for reading
    finally:
        os.close(writer)


def test_a_socket_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.unlink()
    monkeypatch.chdir(log.parent)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(log.name)
        assert problem_of(log) == "unsafe"
        monkeypatch.setattr(LogFile, "_look", lambda *_: Path(__file__).stat())
        assert problem_of(log) == "unsafe"


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_a_device_is_refused(device: str) -> None:
    assert problem_of(device) == "unsafe"


def test_a_sparse_file_of_a_terabyte_costs_no_more_than_the_limit(log: Path) -> None:
    os.truncate(log, 1 << 40)
    assert end_of(log, 1000) == (bytes(1000), True)


def test_what_is_written_meanwhile_is_left_out(log: Path) -> None:
    log.write_bytes(bytes(_PIECE_BYTES + 1))
    reading = read_end(str(log), 1 << 30)
    next(reading)
    with log.open("ab") as writer:
        writer.write(b"more")
    with pytest.raises(StopIteration) as end:
        next(reading)
    assert end.value.value == (bytes(_PIECE_BYTES + 1), False)


def test_a_file_that_is_truncated_meanwhile_is_not_taken_for_complete(log: Path) -> None:
    log.write_bytes(bytes(2 * _PIECE_BYTES))
    reading = read_end(str(log), 1 << 30)
    next(reading)
    os.truncate(log, 10)
    with pytest.raises(StopIteration) as end:
        next(reading)
    assert end.value.value == (bytes(_PIECE_BYTES), True)


def test_an_open_log_stays_the_same_file(log: Path) -> None:
    with LogFile(str(log)) as opened:
        log.unlink()
        assert (opened.size(), opened.read(8, 100)) == (10, b"89")
        log.write_bytes(SECRET)
        assert (opened.size(), opened.read(8, 100)) == (10, b"89")
        log.unlink()
        log.symlink_to("nowhere")
        opened.close()


def test_a_log_that_is_collected_is_closed(log: Path) -> None:
    opened = LogFile(str(log))
    del opened  # and the fixture looks for open files


def test_a_missing_log_says_what_is_missing(log: Path, tmp_path: Path) -> None:
    log.unlink()
    assert problem_of(log) == "missing"
    log.parent.rmdir()
    assert problem_of(log) == "missing"
    log.parent.write_bytes(b"")
    assert problem_of(log) == "missing"
    log.parent.unlink()
    log.parent.parent.rmdir()
    assert problem_of(log) == "other_host"
    log.parent.parent.write_bytes(b"")
    assert problem_of(log) == "other_host"
    assert problem_of("/no/such/root/box-1/exec-1.stdout.log") == "other_host"


@pytest.mark.parametrize("path", ["exec.stdout.log", "", "../secret", "/tmp/a\0b"])
def test_a_path_that_the_daemon_would_not_send_is_refused(path: str) -> None:
    assert problem_of(path) == "unreadable"


def test_without_a_log_root_there_are_no_logs() -> None:
    assert problem_of(None) == "no_log_root"


# The user who runs the tests may be root, to whom everything is permitted.
@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.EACCES, "permission"),
        (errno.EPERM, "permission"),
        (errno.EMFILE, "unreadable"),
        (errno.EIO, "unreadable"),
    ],
)
@pytest.mark.parametrize("call", ["open", "open the file", "stat", "fstat", "pread"])
def test_each_failure_of_the_system_is_explained(
    log: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, problem: str
) -> None:
    name, _, of_file = call.partition(" ")
    real = getattr(os, name)

    def fail(path: Any, *args: Any, **kwargs: Any) -> Any:
        if (name, path) == ("open", str(log.parent)) and of_file:
            return real(path, *args, **kwargs)
        raise OSError(number, os.strerror(number))

    if name == "fstat":  # the first look at the opened file must succeed
        opened = LogFile(str(log))
        monkeypatch.setattr(os, name, fail)
        with pytest.raises(OutputUnavailableError) as caught:
            opened.size()
        opened.close()
        found = caught.value.problem
    else:
        monkeypatch.setattr(os, name, fail)
        found = problem_of(log)
    monkeypatch.undo()
    assert found == problem


ROOT = "/var/lib/agbox/exec-logs"


def paths(root: str, sandbox_id: str, exec_id: str) -> LogPaths:
    stem = f"{root}/{sandbox_id}/{exec_id}"
    return LogPaths(f"{stem}.stdout.log", f"{stem}.stderr.log")


def test_paths_of_an_exec_that_was_created_are_remembered() -> None:
    book = LogBook()
    told = paths(ROOT, "box-1", "exec-1")
    assert book.note("box-1", "exec-1", told) is told
    assert book.find("box-1", "exec-1") == book.where("box-1", "exec-1") == told


def test_the_log_root_follows_from_one_exec(log: Path) -> None:
    root = str(log.parent.parent)
    book = LogBook()
    assert book.find("box-1", "exec-1") == NO_LOGS
    book.note("box-2", "exec-2", paths(root, "box-2", "exec-2"))
    assert book.find("box-1", "exec-1") == paths(root, "box-1", "exec-1")
    assert book.find("box-1", "exec-9") == NO_LOGS  # only if the file is there
    assert book.where("box-1", "exec-9") == paths(root, "box-1", "exec-9")
    # An exec of ours, whose answer was lost, exists: its file will be there.
    assert book.note_lost("box-1", "exec-9") == paths(root, "box-1", "exec-9")
    assert book.find("box-1", "exec-9") == paths(root, "box-1", "exec-9")


@pytest.mark.parametrize(
    ("sandbox_id", "exec_id"),
    [
        ("..", "exec-1"),
        ("../..", "etc"),
        ("box-1", "../../secret"),
        ("box-1/..", "exec-1"),
        ("/etc", "passwd"),
        ("box-1", "exec-1\0"),
        ("box-1", "exec-1\n"),
        ("", ""),
    ],
)
def test_no_id_leads_out_of_the_log_root(log: Path, sandbox_id: str, exec_id: str) -> None:
    book = LogBook()
    book.note("box-2", "exec-2", paths(str(log.parent.parent), "box-2", "exec-2"))
    assert book.find(sandbox_id, exec_id) == NO_LOGS
    assert book.note_lost(sandbox_id, exec_id) == NO_LOGS
    with pytest.raises(OutputUnavailableError) as caught:
        book.where(sandbox_id, exec_id)
    assert caught.value.problem == "unknown_path"


@pytest.mark.parametrize(
    "told",
    [
        LogPaths("/x/exec-1/box-1.stdout.log", "/x/exec-1/box-1.stderr.log"),
        LogPaths("/x/box-1/exec-1.stdout.log", "/y/box-1/exec-1.stderr.log"),
        LogPaths("/x/box-1/exec-1.stdout.log", None),
        LogPaths("x/box-1/exec-1.stdout.log", "x/box-1/exec-1.stderr.log"),
    ],
)
def test_no_log_root_follows_from_another_layout(told: LogPaths) -> None:
    book = LogBook()
    book.note("box-1", "exec-1", told)
    assert book.where("box-1", "exec-1") == told
    with pytest.raises(OutputUnavailableError) as caught:
        book.where("box-1", "exec-2")
    assert caught.value.problem == "unknown_path"


def test_a_daemon_without_a_log_root_keeps_none() -> None:
    book = LogBook()
    book.note("box-1", "exec-1", paths(ROOT, "box-1", "exec-1"))
    book.note("box-1", "exec-2", NO_LOGS)  # its configuration has changed
    assert book.find("box-1", "exec-2") == book.note_lost("box-1", "exec-3") == NO_LOGS
    with pytest.raises(OutputUnavailableError) as caught:
        book.where("box-1", "exec-3")
    assert caught.value.problem == "no_log_root"


def test_many_execs_do_not_use_up_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_book, "_REMEMBERED", 3)
    book = LogBook()
    names = [f"exec-{number}" for number in range(10)]
    for name in names:
        book.note("box-1", name, paths(ROOT, "box-1", name))
    assert [name for name in names if book.find("box-1", name) != NO_LOGS] == names[-3:]
