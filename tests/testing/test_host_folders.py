"""What isolated sandboxes see of the host."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_sandbox.testing._commands.isolation import host_folders as module
from agents_sandbox.testing._commands.isolation.host_folders import host_folders

Seen = Callable[..., list[str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    return home


@pytest.fixture
def seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Which folders of the home, by their relative paths, are seen with such a PATH."""

    def find(*path: str, own: str = "/workspace") -> list[str]:
        for folder in path:
            (home / folder).mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("PATH", ":".join(f"{home}/{folder}" for folder in path))
        found = host_folders([own])
        return [str(it.relative_to(home)) for it in found if it.is_relative_to(home)]

    return find


def test_system_and_python_are_seen() -> None:
    found = host_folders(["/opt"])
    for path in (
        "/usr",
        "/etc",
        "/bin/sh",
        sys.prefix,
        sys.base_prefix,
        os.path.realpath(sys.executable),
    ):
        assert any(Path(path).is_relative_to(folder) for folder in found)
    assert not any(Path("/opt").is_relative_to(folder) for folder in found)
    assert not any(a != b and a.is_relative_to(b) for a in found for b in found)


def test_what_lies_beside_programs_is_seen(seen: Seen) -> None:
    assert seen("tool/bin", "tool/sbin", "other/1.0/shims") == ["other/1.0", "tool"]


def test_home_is_not_seen_for_a_folder_in_it(seen: Seen) -> None:
    assert seen("bin") == ["bin"]


def test_folder_around_the_sandboxes_own_is_not_seen(seen: Seen, home: Path) -> None:
    assert seen("tool/bin", own=f"{home}/tool/data") == []


def test_folder_is_seen_by_all_its_names(seen: Seen, home: Path) -> None:
    (home / "real" / "bin").mkdir(parents=True)
    (home / "link").symlink_to("real")
    assert seen("link/bin") == ["link", "real"]


def test_what_is_no_folder_is_left_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (home / "tool" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"tool/bin::{home}/none:{__file__}")
    assert not any(path.is_relative_to(home) for path in host_folders([]))


def test_id_without_a_name_has_no_home_of_record(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert seen("bin", "tool/bin") == ["bin", "tool"]


def test_settings_behind_a_link_are_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "written").touch()
    (home / "link").symlink_to("written")
    monkeypatch.setattr(module, "_BY_LINK", (f"{home}/link",))
    assert home / "written" in host_folders([])
