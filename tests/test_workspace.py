"""The folder of this host that is the `/workspace` of a sandbox."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    InvalidArgumentError,
    InvalidArgumentTypeError,
    MountSpec,
)
from agents_sandbox._workspace import Workspace

from .interrupting import Lines


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_an_existing_folder_is_mounted_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    for given in (tmp_path / "code", str(tmp_path / "code"), "code"):
        workspace = Workspace.of(given)
        assert workspace is not None
        assert workspace.path == tmp_path / "code"
        assert workspace.make() == MountSpec(tmp_path / "code", "/workspace", writable=True)
        workspace.remove()
    assert (tmp_path / "code").is_dir()


def test_a_home_is_that_of_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    workspace = Workspace.of("~")
    assert workspace is not None
    assert workspace.path == tmp_path


def test_a_temporary_folder_is_open_to_the_container_and_to_no_other_user(temporary: Path) -> None:
    workspace = Workspace.of(True)
    assert workspace is not None
    assert list(temporary.iterdir()) == []
    workspace.make()
    assert workspace.path is not None
    assert workspace.path.stat().st_mode & 0o777 == 0o777
    assert workspace.path.parent.stat().st_mode & 0o777 == 0o700
    outside = temporary / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (workspace.path / "link").symlink_to(outside)
    closed = workspace.path / "closed" / "inner"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    closed.parent.chmod(0o500)
    for _ in range(2):
        workspace.remove()
        assert [path.name for path in temporary.iterdir()] == ["outside"]
    assert (outside / "kept").exists()


def test_ctrl_c_at_any_line_leaves_no_temporary_folder(temporary: Path) -> None:
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        workspace = Workspace(None)
        lines = Lines(k)
        lines.run(workspace.make)
        workspace.remove()
        assert list(temporary.iterdir()) == [], lines.place
    assert k > 5


def test_no_workspace() -> None:
    assert Workspace.of(None) is None
    assert Workspace.of(False) is None


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "missing", "a\0b"):
        with pytest.raises(InvalidArgumentError, match="workspace must"):
            Workspace.of(wrong)
    number: Any = 1
    with pytest.raises(InvalidArgumentTypeError, match="workspace must be a str, not int"):
        Workspace.of(number)


def test_a_folder_that_was_not_completed_is_removed(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    workspace = Workspace.of(True)
    assert workspace is not None
    with monkeypatch.context() as patched:
        patched.setattr(Path, "chmod", interrupt)
        with pytest.raises(KeyboardInterrupt):
            workspace.make()
    workspace.remove()
    assert list(temporary.iterdir()) == []
