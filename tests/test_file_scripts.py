"""The scripts for files, in each shell that is here: what they find out after a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents_sandbox._scripts import files as scripts
from agents_sandbox._scripts.files import Failure
from agents_sandbox._shared.trees import remove_tree

from .commands import as_nobody

pytestmark = pytest.mark.once

MARK = "mark"
SHELLS = {
    name: path for name in ("sh", "bash", "busybox") if (path := shutil.which(name)) is not None
}
TOOLS = "sh base64 cat chmod df ls mkdir mv readlink rm rmdir stat tail wc"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that everybody may enter: pytest closes its own, at the start of any run."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o711)
    yield made
    remove_tree(made)


class Shell:
    """Runs scripts for a user whom permissions bind."""

    def __init__(self, path: str) -> None:
        self._env = {"PATH": path}

    def run(self, operation: str, script: str, path: Path, *args: str) -> tuple[int, bytes]:
        """Run a script; return its exit code and its report."""
        command = scripts.file_command(operation, script, MARK, os.fsencode(path), *args)
        if os.getuid() == 0:
            command = as_nobody(command)
        done = subprocess.run(command, env=self._env, capture_output=True, check=False)
        assert done.stdout.startswith(MARK.encode()), done
        assert done.stdout.endswith(MARK.encode()), done
        return done.returncode, done.stdout[len(MARK) : -len(MARK)]

    def write(self, path: Path, text: str = "new") -> int:
        """Write a file with one command."""
        (command,) = scripts.write_commands(MARK, os.fsencode(path), "temporary", text.encode())
        return self.run("write", scripts.WRITE, path, *command[7:])[0]


# The shell of busybox may run its own tools whatever is in PATH.
with_other_tools = pytest.mark.parametrize(
    "path_variable", [SHELLS["sh"]], ids=["sh"], indirect=True
)


@pytest.fixture(params=SHELLS.values(), ids=list(SHELLS))
def path_variable(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a shell and its tools are."""
    tools = tmp_path / "tools"
    tools.mkdir()
    if request.param.endswith("busybox"):
        for tool in TOOLS.split():
            (tools / tool).symlink_to(request.param)
    else:
        (tools / "sh").symlink_to(request.param)
    return f"{tools}:{os.environ['PATH']}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everybody may change."""
    made = tmp_path / "folder"
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.fixture
def shell(path_variable: str) -> Shell:
    return Shell(path_variable)


def locked(folder: Path, mode: int) -> Path:
    """A folder with a file, of the same user or of root."""
    made = folder / f"locked-{mode:o}"
    made.mkdir()
    (made / "file").write_text("old")
    made.chmod(mode)
    return made


def test_what_may_not_be_done_is_told_from_what_is_not_there(shell: Shell, folder: Path) -> None:
    closed, read_only = locked(folder, 0o000), locked(folder, 0o555)
    secret = folder / "secret"
    secret.write_text("old")
    secret.chmod(0o000)
    for code, _ in (
        shell.run("read", scripts.READ, secret),
        shell.run("read", scripts.READ, closed / "file"),
        shell.run("exists", scripts.EXISTS, closed / "file"),
        shell.run("list", scripts.LIST, closed),
        shell.run("list", scripts.LIST, closed / "inner"),
        shell.run("remove", scripts.REMOVE, read_only / "file", ""),
        shell.run("mkdir", scripts.MKDIR, read_only / "x", "", ""),
        shell.run("mkdir", scripts.MKDIR, read_only / "x" / "y", "yes", "yes"),
    ):
        assert code == Failure.PERMISSION
    assert shell.write(read_only / "x") == Failure.PERMISSION
    assert shell.write(read_only / "file") == Failure.PERMISSION
    assert shell.write(closed / "file") == Failure.PERMISSION
    assert shell.write(secret) == Failure.PERMISSION
    assert (read_only / "file").read_text() == "old"
    assert sorted(path.name for path in read_only.iterdir()) == ["file"]
    assert shell.run("exists", scripts.EXISTS, read_only / "missing")[0] == Failure.NOT_FOUND


@pytest.mark.skipif(os.getuid() != 0, reason="only root has files of another user")
def test_a_file_of_another_user_in_a_folder_of_all_is_not_removed(
    shell: Shell, folder: Path
) -> None:
    (folder / "theirs").write_text("old")
    folder.chmod(0o1777)
    assert shell.run("remove", scripts.REMOVE, folder / "theirs", "")[0] == Failure.PERMISSION


def test_an_existing_file_keeps_its_mode(shell: Shell, folder: Path) -> None:
    assert shell.write(folder / "new") == 0
    assert (folder / "new").stat().st_mode & 0o777 == 0o666 & ~_umask()
    old = folder / "old"
    old.write_text("older")
    old.chmod(0o626)
    assert shell.write(old) == 0
    assert (old.read_text(), old.stat().st_mode & 0o777) == ("new", 0o626)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@with_other_tools
def test_a_full_disk_is_told_from_other_failures(
    path_variable: str, folder: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "broken"
    tools.mkdir()

    def replace(name: str, script: str) -> None:
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)

    shell = Shell(f"{tools}:{path_variable}")
    (folder / "file").write_text("old")
    (folder / "file").chmod(0o666)
    replace("base64", "echo half; exit 1")
    replace("mkdir", "exit 1")
    for blocks, left, failure in (
        ("64", "0", Failure.NO_SPACE),
        ("64", "1", Failure.OTHER),
        ("0", "0", Failure.OTHER),  # such as /proc
    ):
        replace("df", f"echo Filesystem; echo tmpfs {blocks} {blocks} {left} 100% /x")
        assert shell.write(folder / "file") == failure
        assert shell.run("mkdir", scripts.MKDIR, folder / "x", "", "")[0] == failure
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "old"
    replace("cat", "exit 1")
    replace("rm", "exit 1")
    assert shell.run("read", scripts.READ, folder / "file")[0] == Failure.OTHER
    assert shell.run("remove", scripts.REMOVE, folder / "file", "")[0] == Failure.OTHER


def as_root(folder: Path, mount: str, *command: str, path: str) -> tuple[int, str]:
    """Run a command for root after a mount; return its exit code and what is in the folder then."""
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if subprocess.run([*prefix, mount, str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    script = f'{mount} && shift && "$@" >/dev/null; echo $?; ls -A "$0"'
    done = subprocess.run(
        [*prefix, script, str(folder), "", *command],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    code, _, names = done.stdout.partition("\n")
    return int(code), names.strip()


def first_command(path: Path, data: bytes) -> list[str]:
    return next(scripts.write_commands(MARK, os.fsencode(path), "temporary", data))


needs_unshare = pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare mounts")


@needs_unshare
def test_a_disk_that_is_really_full(path_variable: str, folder: Path) -> None:
    command = first_command(folder / "file", bytes(100_000))
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0"'
    assert as_root(folder, mount, *command, path=path_variable) == (Failure.NO_SPACE, "")


@needs_unshare
def test_a_disk_that_is_read_only_is_so_for_root_too(path_variable: str, folder: Path) -> None:
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0" && mkdir "$0/x" && mount -o remount,ro "$0"'
    for command in (
        first_command(folder / "file", b""),
        scripts.file_command("remove", scripts.REMOVE, MARK, os.fsencode(folder / "x"), ""),
        scripts.file_command("mkdir", scripts.MKDIR, MARK, os.fsencode(folder / "y"), "", ""),
    ):
        found = as_root(folder, mount, *command, path=path_variable)
        assert found == (Failure.PERMISSION, "x")


@needs_unshare
def test_what_is_mounted_by_itself_stays(path_variable: str, folder: Path) -> None:
    mount = 'mount -t tmpfs tmpfs "$0" && : >"$0/x" && mount --bind /etc/passwd "$0/x"'
    (folder.parent / "link").symlink_to(folder)
    mounted = folder.parent / "link" / "x"
    for command in (
        first_command(mounted, b""),
        scripts.file_command("remove", scripts.REMOVE, MARK, os.fsencode(mounted), ""),
    ):
        assert as_root(folder, mount, *command, path=path_variable) == (Failure.MOUNTED, "x")


@with_other_tools
def test_a_listing_survives_files_that_disappear(
    path_variable: str, folder: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (folder / name).write_text(name)
    tools = tmp_path / "broken"
    tools.mkdir()
    stat = shutil.which("stat", path=path_variable)
    script = f'#!/bin/sh\n[ -z "$5" ] || exit 1\n[ "$4" != b ] || exit 1\nexec {stat} "$@"\n'
    (tools / "stat").write_text(script)
    (tools / "stat").chmod(0o755)
    code, report = Shell(f"{tools}:{path_variable}").run("list", scripts.LIST, folder)
    assert (code, report.split(b"\0")[1:]) == (0, [b"a", b""])


def test_the_step_after_a_clean_up_does_not_begin_again(shell: Shell, folder: Path) -> None:
    for step, expected in (("part", Failure.OTHER), ("last", Failure.OTHER), ("drop", 0)):
        code, _ = shell.run("write", scripts.WRITE, folder / "file", step, "temporary", "1", "YQ==")
        assert code == expected
    assert list(folder.iterdir()) == []


def test_a_link_that_leads_nowhere_is_not_written_through(shell: Shell, folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "lost").symlink_to("missing/file")
    assert shell.write(folder / "loop") == Failure.NOT_FOUND
    assert shell.write(folder / "lost") == Failure.NOT_FOUND
    (folder / "kept").symlink_to("target\n")
    assert shell.write(folder / "kept") == 0
    assert (folder / "target\n").read_text() == "new"
