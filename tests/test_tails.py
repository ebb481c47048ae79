"""Logs are read piece by piece: nothing is lost or doubled, and characters stay whole."""

from __future__ import annotations

import os
import tracemalloc
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import ExecHandle, ExecState, OutputChunk, OutputUnavailableError
from agents_sandbox._output import tail
from agents_sandbox._output.tail import Tails

pytestmark = pytest.mark.once


def handle(folder: Path, exit_code: int | None = None) -> ExecHandle:
    state = ExecState.RUNNING if exit_code is None else ExecState.FAILED
    paths = [str(folder / f"exec-1.{stream}.log") for stream in ("stdout", "stderr")]
    return ExecHandle(
        "exec-1", "box-1", state, ("a",), "", {}, exit_code, None, 0, paths[0], paths[1]
    )


def drain(tails: Tails, of: ExecHandle) -> list[OutputChunk]:
    chunks = []
    while (chunk := tails.read(of)) is not None:
        tails.deliver(chunk)
        chunks.append(chunk)
    return chunks


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "CHUNK_BYTES", 3)


TEXT = st.lists(st.sampled_from(["a", "é", "€", "😀", b"\xff", b"\xf0\x9f", b"\xe2\x82", b"\x80"]))


@pytest.mark.usefixtures("small")
@given(TEXT, st.integers(0, 40), st.integers(0, 40))
def test_every_byte_and_every_character_comes_once(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str | bytes], seen: int, stop: int
) -> None:
    """The file grows, the reader stops at a border of chunks, and another one continues."""
    data = b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    folder = tmp_path_factory.mktemp("logs")
    log = folder / "exec-1.stdout.log"
    log.write_bytes(data[:seen])
    (folder / "exec-1.stderr.log").touch()
    running, ended = handle(folder), handle(folder, 0)
    first = Tails({"stdout": 0, "stderr": 0})
    chunks: list[OutputChunk] = []
    while len(chunks) < stop and (chunk := first.read(running)) is not None:
        assert first.read(running) == chunk, "until it is delivered"
        first.deliver(chunk)
        chunks.append(chunk)
    first.close()
    log.write_bytes(data)
    rest = Tails(first.offsets)
    rest.end(ended)
    with log.open("ab") as more:
        more.write(b"after the end")
    chunks += drain(rest, ended)
    rest.close()
    assert b"".join(chunk.data for chunk in chunks) == data
    assert "".join(chunk.text for chunk in chunks) == data.decode("utf-8", "replace")
    offsets = accumulate((len(chunk.data) for chunk in chunks), initial=0)
    assert [chunk.offset for chunk in chunks] == list(offsets)[:-1]


def test_the_streams_take_turns(tmp_path: Path) -> None:
    for stream in ("stdout", "stderr"):
        (tmp_path / f"exec-1.{stream}.log").write_bytes(b"x" * (2 * tail.CHUNK_BYTES))
    tails = Tails({"stdout": 0, "stderr": 0})
    chunks = drain(tails, handle(tmp_path))
    assert [chunk.stream for chunk in chunks] == ["stdout", "stderr"] * 2
    assert {len(chunk.data) for chunk in chunks} == {2**16}
    tails.close()


def test_an_incomplete_character_at_the_end_is_replaced(tmp_path: Path) -> None:
    log = tmp_path / "exec-1.stdout.log"
    log.write_bytes(b"a\xe2\x82")
    tails = Tails({"stdout": 0})
    assert drain(tails, handle(tmp_path)) == [OutputChunk("stdout", b"a\xe2\x82", 0, "a")]
    tails.end(handle(tmp_path, 0))
    assert drain(tails, handle(tmp_path, 0)) == [OutputChunk("stdout", b"", 3, "\ufffd")]
    tails.close()


@pytest.mark.parametrize("late", [False, True])
def test_a_log_that_became_shorter_has_ended(tmp_path: Path, late: bool) -> None:
    log = tmp_path / "exec-1.stdout.log"
    log.write_bytes(b"abc\xe2")
    tails = Tails({"stdout": 0})
    assert len(drain(tails, handle(tmp_path))) == 1
    if late:
        log.write_bytes(b"abc\xe2\x82")
        tails.end(handle(tmp_path, 0))
        os.truncate(log, 1)
    else:
        os.truncate(log, 1)
        assert drain(tails, handle(tmp_path)) == []
        tails.end(handle(tmp_path, 0))
    assert drain(tails, handle(tmp_path, 0)) == [OutputChunk("stdout", b"", 4, "\ufffd")]
    tails.close()


def test_a_missing_log_is_waited_for(tmp_path: Path) -> None:
    tails = Tails({"stdout": 0})
    assert drain(tails, handle(tmp_path)) == []
    with pytest.raises(OutputUnavailableError) as caught:
        tails.end(handle(tmp_path, 0))
    assert caught.value.problem == "missing"
    tails.end(handle(tmp_path))
    assert drain(tails, handle(tmp_path)) == []
    tails.close()


def test_a_sparse_file_costs_no_memory(tmp_path: Path) -> None:
    log = tmp_path / "exec-1.stdout.log"
    log.touch()
    os.truncate(log, 2**40)
    tails = Tails({"stdout": 2**40 - 2**20})
    tails.end(handle(tmp_path, 0))
    tracemalloc.start()
    try:
        read = 0
        while (chunk := tails.read(handle(tmp_path, 0))) is not None:
            tails.deliver(chunk)
            read += len(chunk.data)
        assert tracemalloc.get_traced_memory()[1] < 2**19
    finally:
        tracemalloc.stop()
        tails.close()
    assert read == 2**20


def test_a_chunk_does_not_show_its_data() -> None:
    chunk = OutputChunk("stdout", b"secret", 7, "secret")
    assert repr(chunk) == "OutputChunk(stream='stdout', data=<6 bytes>, offset=7)"
