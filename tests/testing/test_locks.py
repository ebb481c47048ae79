"""Locks between processes."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents_sandbox.testing._host.locks import locked


def test_it_excludes_others_and_leaves_no_file(
    tmp_path: Path, elsewhere: ThreadPoolExecutor
) -> None:
    count = 0

    def increment() -> None:
        nonlocal count
        for _ in range(200):
            with locked(tmp_path / "lock"):
                assert list(tmp_path.iterdir()) == [tmp_path / "lock"]
                before = count
                (tmp_path / "lock").stat()  # lets other threads run
                count = before + 1

    for running in [elsewhere.submit(increment) for _ in range(4)]:
        running.result()
    assert count == 800
    assert list(tmp_path.iterdir()) == []


def test_file_that_its_holder_removes_meanwhile_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lock"
    flock = fcntl.flock
    acquired: list[int] = []

    def slow(descriptor: int, operation: int) -> None:
        if not acquired:
            file.unlink()
        acquired.append(operation)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    with locked(file):
        assert file.exists()
    assert acquired == [fcntl.LOCK_EX, fcntl.LOCK_EX, fcntl.LOCK_UN]
