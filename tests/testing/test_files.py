"""The files of a sandbox whose commands do not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents_sandbox import (
    CopySpec,
    MountSpec,
    SandboxFileError,
    SandboxFileNotFoundError,
    SandboxFilePermissionError,
    SandboxIsADirectoryError,
    SyncAgentsSandboxClient,
    SyncSandbox,
    SyncSandboxFiles,
)
from agents_sandbox._shared.helpers import stdin_of
from agents_sandbox.testing import FakeDaemon


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    with SyncAgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon(image_folders=["/srv/app"], host_paths=["/data"]) as running:
        yield running
        running.assert_no_leaks()


def new_sandbox(
    client: SyncAgentsSandboxClient,
    mounts: tuple[MountSpec, ...] = (),
    copies: tuple[CopySpec, ...] = (),
) -> SyncSandbox:
    return client.attach(
        client.create_sandbox(image="a:1", mounts=mounts, copies=copies).sandbox_id
    )


@pytest.fixture
def files(client: SyncAgentsSandboxClient) -> SyncSandboxFiles:
    return new_sandbox(client).files


def test_it_has_the_folders_of_an_image(files: SyncSandboxFiles) -> None:
    for path in ("/tmp", "/etc/passwd", "/home/agbox", "/srv/app", "/usr/bin", "/bin", "/var/run"):
        assert files.exists(path)
    assert not files.exists("/root/.bashrc")
    kinds = {entry.name: entry.kind for entry in files.list("/")}
    assert (kinds["bin"], kinds["etc"]) == ("symlink", "directory")
    files.write_text("/bin/tool", "")
    assert files.exists("/usr/bin/tool")


def test_it_reaches_nothing_of_the_host(files: SyncSandboxFiles, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    assert not files.exists(outside)
    assert not files.exists(f"/workspace/../../../../../../../../../../..{outside}")
    files.remove("/", recursive=True)
    assert outside.exists()


def test_mounts_and_copies_bring_files(client: SyncAgentsSandboxClient, tmp_path: Path) -> None:
    for name in ("copied", "writable", "readable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (tmp_path / "writable" / "link").symlink_to(outside)
    (tmp_path / "copied" / "link").symlink_to(tmp_path / "copied" / "file")
    sandbox = new_sandbox(
        client,
        (
            MountSpec(tmp_path / "writable", "/mnt/writable", writable=True),
            MountSpec(tmp_path / "readable", "/mnt/readable"),
            MountSpec("/data", "/mnt/data", writable=True),
        ),
        (CopySpec(tmp_path / "copied", "/workspace"),),
    )
    files = sandbox.files
    assert files.read_text("file") == "copied"
    assert files.read_text("/mnt/readable/file") == "readable"
    assert files.list("/mnt/data") == []
    files.write_text("/mnt/writable/file", "changed")
    assert (tmp_path / "writable" / "file").read_text() == "changed"
    with pytest.raises(SandboxFilePermissionError):
        files.write_text("/mnt/readable/file", "changed")
    # What leads to the host leads to nothing in a sandbox.
    for link in ("/workspace/link", "/mnt/writable/link"):
        with pytest.raises(SandboxFileNotFoundError):
            files.write_text(link, "changed")
        assert not files.exists(link)
    assert (outside.read_text(), (tmp_path / "copied" / "file").read_text()) == ("secret", "copied")
    files.remove("/mnt/writable/link")
    assert not (tmp_path / "writable" / "link").is_symlink()
    (tmp_path / "writable" / "outer").symlink_to(tmp_path)
    with pytest.raises(SandboxFileNotFoundError):
        files.remove("/mnt/writable/outer/outside")
    assert outside.exists()


def test_a_read_only_mount_refuses_changes_whoever_runs_the_daemon(
    client: SyncAgentsSandboxClient, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")
    files = new_sandbox(client, (MountSpec(tmp_path, "/mnt"),)).files
    changes: list[Callable[[], None]] = [
        lambda: files.write_text("/mnt/file", "new"),
        lambda: files.write_text("/mnt/new", "new"),
        lambda: files.remove("/mnt/file"),
        lambda: files.mkdir("/mnt/folder"),
    ]
    for change in changes:
        with pytest.raises(SandboxFilePermissionError):
            change()
    with pytest.raises(SandboxIsADirectoryError):
        files.write_text("/mnt", "new")
    with pytest.raises(SandboxFileNotFoundError):
        files.remove("/mnt/x")
    with pytest.raises(SandboxFileNotFoundError):
        files.write_text("/mnt/x/y", "new")
    files.mkdir("/mnt", exist_ok=True)
    assert [entry.name for entry in files.list("/mnt")] == ["file"]
    assert files.read_text("/mnt/file") == "old"


def test_copies_that_cannot_be_made_are_an_error_of_the_command(
    client: SyncAgentsSandboxClient, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    sandbox = new_sandbox(client, copies=(CopySpec(tmp_path, "/workspace"),))
    (tmp_path / "file").unlink()
    for _ in range(2):
        with pytest.raises(SandboxFileError, match=r"could not be run: .*No such file"):
            sandbox.files.read_text("file")


def test_a_delete_removes_the_files(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon, tmp_path: Path
) -> None:
    folder = Path(daemon.socket_path).parent / "sandboxes"
    (tmp_path / "file").write_text("x")
    with_copies = new_sandbox(client, copies=(CopySpec(tmp_path, "/workspace"),))
    used, unused = new_sandbox(client), new_sandbox(client)
    used.files.write_text("x", "")
    assert [path.name for path in folder.iterdir()] == [used.id]
    for sandbox in (used, unused, with_copies):
        sandbox.delete()
    assert list(folder.iterdir()) == []


def test_no_script_is_for_files(files: SyncSandboxFiles, daemon: FakeDaemon) -> None:
    daemon.on_exec(lambda argv: True).exit(1)
    files.write_text("x", "text")
    assert files.read_text("x") == "text"


def test_files_do_not_count_as_unscripted() -> None:
    with (
        FakeDaemon(unscripted="fail") as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        sandbox = new_sandbox(client)
        sandbox.files.write_text("x", "text")
        daemon.assert_all_scripted()
        daemon.on_exec(("cat",)).stdout("x")
        assert sandbox.run(("cat",), input="x" * 98_302).stdout == "x"
        daemon.assert_all_scripted()


def test_an_input_whose_file_is_gone_is_empty(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    daemon.on_exec(("cat",)).call(lambda context: seen.append(context.stdin))
    monkeypatch.setattr("agents_sandbox._scripts.files.input_commands", lambda *_: ())
    new_sandbox(client).run(("cat",), input="x" * 98_302)
    assert seen == [b""]


def test_an_input_of_a_scripted_command_in_a_real_mode() -> None:
    seen: list[bytes] = []
    data = b"x" * 98_302
    with (
        FakeDaemon(exec_mode="auto") as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        daemon.on_exec(("cat",)).call(lambda context: seen.append(context.stdin))
        sandbox = new_sandbox(client)
        sandbox.run(("cat",), input=data)
        requests = [call.request for call in daemon.calls if call.method == "CreateExec"]
        (path,) = {stdin.file for item in requests if (stdin := stdin_of(item.command))}
        left = sandbox.run(("ls", path)).exit_code == 0
    assert seen == [data]
    assert not left


def test_paths_in_an_input_do_not_change(tmp_path: Path) -> None:
    mount = MountSpec(tmp_path, "/a b", writable=True)
    with (
        FakeDaemon(exec_mode="passthrough") as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        sandbox = new_sandbox(client, (mount,))
        result = sandbox.run(("cat", "/dev/stdin"), input="/workspace")
        assert result.stdout == "/workspace"
        assert sandbox.run(("sh", "-c", "cat >/workspace/x"), input="x").exit_code == 0
        assert sandbox.files.read_text("x") == "x"
        sandbox.files.write_text("/a b/file", "mounted")
    assert (tmp_path / "file").read_text() == "mounted"
