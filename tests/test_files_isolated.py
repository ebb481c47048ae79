"""Names and links, in sandboxes with a file system of their own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from agents_sandbox import (
    InvalidArgumentError,
    MountSpec,
    SandboxFileError,
    SandboxFileInfo,
    SandboxFileNotFoundError,
    SyncAgentsSandboxClient,
    SyncSandbox,
    SyncSandboxFiles,
)
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands.isolation import probe

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(probe.obstacle_to_isolation()), reason=probe.obstacle_to_isolation()),
]


@pytest.fixture
def sandbox() -> Iterator[SyncSandbox]:
    with (
        FakeDaemon(exec_mode="isolated") as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        yield client.attach(client.create_sandbox(image="a:1").sandbox_id)
        daemon.assert_no_leaks()


@pytest.fixture
def files(sandbox: SyncSandbox) -> SyncSandboxFiles:
    return sandbox.files


NAMES: list[Any] = [
    " spaces ",
    "new\nline\n",
    "\"quotes'`$(id)`",
    "-rf",
    "\\0101\\",
    "*",
    "..hidden",
    "ünï",
    b"\xff\xfe\n",
    "\udcff\udcc3",
    PurePosixPath("a path"),
]


def test_any_name_is_only_a_name(files: SyncSandboxFiles) -> None:
    folder = b"-\xff *'\n"
    files.mkdir(folder)
    for name in NAMES:
        files.write_bytes(folder + b"/" + os.fsencode(name), os.fsencode(name))
    texts = sorted(os.fsdecode(name) for name in NAMES)
    assert files.list(folder) == [
        SandboxFileInfo(text, "file", len(os.fsencode(text))) for text in texts
    ]
    for text in texts:
        assert files.read_bytes(f"{os.fsdecode(folder)}/{text}") == os.fsencode(text)
    files.remove(folder, recursive=True)
    assert files.list() == []


def test_links_are_followed_to_what_they_lead_to(
    files: SyncSandboxFiles, sandbox: SyncSandbox
) -> None:
    files.mkdir("releases")
    files.write_text("releases/1", "old")
    links = "ln -s releases/1 current; ln -s current again; ln -s missing dangling; ln -s . self"
    sandbox.run(("sh", "-c", f"{links}; chmod 640 releases/1; mkfifo fifo"), check=True)
    files.write_text("again", "new")
    assert files.read_text("releases/1") == files.read_text("self/current") == "new"
    assert {entry.name: entry.kind for entry in files.list()} == {
        "again": "symlink",
        "current": "symlink",
        "dangling": "symlink",
        "fifo": "other",
        "releases": "directory",
        "self": "symlink",
    }
    modes = sandbox.run(("stat", "-c", "%a", "releases/1", "releases"), check=True)
    assert modes.stdout.split()[0] == "640"
    assert not files.exists("dangling")
    with pytest.raises(SandboxFileNotFoundError):
        files.read_bytes("dangling")
    files.write_text("dangling", "now it is there")
    assert files.read_text("missing") == "now it is there"
    for call in (lambda: files.read_bytes("fifo"), lambda: files.write_bytes("fifo", b"")):
        with pytest.raises(SandboxFileError, match="neither a file nor a folder"):
            call()
    with pytest.raises(InvalidArgumentError, match=r"must not end in \. or \.\."):
        files.remove("self/..", recursive=True)
    with pytest.raises(InvalidArgumentError, match=r"must not end in \. or \.\."):
        files.remove("releases/.", recursive=True)
    assert files.exists("self/")
    files.remove("self/", recursive=True)
    files.remove("again")
    assert files.exists("releases/1")


@pytest.mark.parametrize("writable", [True, False])
def test_a_mounted_file_is_neither_replaced_nor_removed(tmp_path: Path, writable: bool) -> None:
    source = tmp_path / "source"
    source.write_text("old")
    mount = MountSpec(source, "/srv/folder/mounted", writable=writable)
    with (
        FakeDaemon(exec_mode="isolated") as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        files = client.attach(client.create_sandbox(image="a:1", mounts=(mount,))).files
        codes = []
        changes: list[Callable[[], None]] = [
            lambda: files.write_text("/srv/folder/mounted", "new"),
            lambda: files.remove("/srv/folder/mounted"),
        ]
        for change in changes:
            with pytest.raises(SandboxFileError) as caught:
                change()
            codes.append(caught.value.errno)
        assert codes == [errno.EBUSY if writable else errno.EACCES, errno.EBUSY]
        assert "it is mounted by itself" in str(caught.value)
        assert [entry.name for entry in files.list("/srv/folder")] == ["mounted"]
    assert source.read_text() == "old"


def test_an_input_leaves_no_file(sandbox: SyncSandbox) -> None:
    for size in (0, 6, 98_302):
        result = sandbox.run(("sh", "-c", "wc -c; ls -A /tmp >&2"), input="x" * size)
        assert (result.stdout, result.stderr.count("agents-sandbox-")) == (f"{size}\n", 0)
