"""Files of this host, as ends of downloads and uploads."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from agents_sandbox import InvalidArgumentError
from agents_sandbox._output.host_files import HostFile, read_host_file

from .commands import open_files
from .interrupting import Lines

pytestmark = pytest.mark.once


def write(path: Path) -> None:
    with HostFile(str(path)) as file:
        file.write(b"new")
        file.complete()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what closes itself after Ctrl-C says so
def test_ctrl_c_at_any_line_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        path.write_bytes(b"old")
        lines = Lines(k)
        lines.run(partial(write, path))
        assert list(tmp_path.iterdir()) == [path], lines.place
        assert path.read_bytes() in (b"old", b"new")
        assert not [file for file in open_files() if file.startswith(str(tmp_path))], lines.place
    assert path.read_bytes() == b"new"
    assert k > 10


def test_what_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        HostFile(str(tmp_path / "missing" / "file"))
    assert caught.value.filename == str(tmp_path / "missing" / "file")
    with pytest.raises(IsADirectoryError):
        HostFile(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_became_a_folder_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with HostFile(str(path)) as file:
        path.mkdir()
        with pytest.raises(IsADirectoryError) as caught:
            file.complete()
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    assert list(tmp_path.iterdir()) == [path]


def test_a_fifo_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidArgumentError, match="must be a file"):
        read_host_file(str(tmp_path / "fifo"), 10)
    (tmp_path / "file").write_bytes(b"content")
    assert read_host_file(str(tmp_path / "file"), 4) == b"cont"
