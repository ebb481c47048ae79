"""The folder that replaces the file system of a sandbox, and the mapping of paths to it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._shared.trees import remove_tree
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing._commands.command import CannotPrepareError
from agents_sandbox.testing._commands.container_files import plan_copies
from agents_sandbox.testing._commands.copy_plan import PlannedCopy
from agents_sandbox.testing._commands.filesystem import FileSystem
from agents_sandbox.testing._commands.passthrough import PassThroughRunner
from agents_sandbox.testing._host.declared import Host as DeclaredHost
from agents_sandbox.testing._protocol.spec import Spec
from agents_sandbox.testing._time.clock import HostClock

from .raw import TIMEOUT

pytestmark = pytest.mark.once


def mount(source: Path, target: str, *, writable: bool = False) -> pb.MountSpec:
    return pb.MountSpec(source=str(source), target=target, writable=writable)


def copy(source: Path, target: str, *exclude: str) -> pb.CopySpec:
    return pb.CopySpec(source=str(source), target=target, exclude_patterns=exclude)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class Host:
    """A folder of the host, and sandboxes next to it."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.box = folder / "boxes" / "box-1"
        self.write("dir/hello.txt", "hello")

    def write(self, name: str, text: str = "") -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def build(self, *entries: pb.MountSpec | pb.CopySpec, **fields: Any) -> FileSystem:
        spec = Spec(
            mounts=[entry for entry in entries if isinstance(entry, pb.MountSpec)],
            copies=[entry for entry in entries if isinstance(entry, pb.CopySpec)],
        )
        made = FileSystem(self.box, spec, **fields)
        made.build(plan_copies("agbox-primary-box-1", spec, DeclaredHost(), self.box.parent))
        return made

    def mode_of_workspace(self) -> int:
        """The mode of a `/workspace` that nothing is copied to."""
        FileSystem(self.box.parent / "other", Spec()).build()
        return stat.S_IMODE((self.box.parent / "other" / "workspace").stat().st_mode)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_writable_mount_is_the_source(host: Host) -> None:
    host.build(
        mount(host.files / "dir", "/workspace", writable=True),
        mount(host.write("file"), "/etc/app/file", writable=True),
    )
    (host.box / "workspace" / "new").touch()
    (host.box / "etc/app/file").write_text("changed")
    assert names(host.files / "dir") == ["hello.txt", "new"]
    assert (host.files / "file").read_text() == "changed"


def test_read_only_mount_is_a_protected_copy(host: Host) -> None:
    host.write("dir/sub/deep", "deep")
    (host.files / "dir" / "link").symlink_to("../file")
    host.build(mount(host.files / "dir", "/mnt"), mount(host.write("file", "one"), "/file"))
    place = host.box / "mnt"
    assert names(place) == ["hello.txt", "link", "sub", "sub/deep"]
    assert (place / "link").readlink() == Path("../file")
    for path in (place, place / "hello.txt", place / "sub", place / "sub/deep", host.box / "file"):
        assert not path.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert stat.S_IMODE((host.files / "file").stat().st_mode) & 0o200


@pytest.mark.parametrize("target", ["dir/sock", "sock"])
def test_socket_is_connected_to_its_source(
    host: Host, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(host.files)  # paths of sockets are short
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(target)
        listener.listen()
        source = host.files / ("dir" if target == "dir/sock" else "sock")
        host.build(mount(source, "/run/x"))
        monkeypatch.chdir(host.box / "run")
        client.connect("x/sock" if target == "dir/sock" else "x")
    remove_tree(host.box)
    assert (host.files / target).is_socket()


def test_copy_adds_to_what_is_there_and_keeps_modes(host: Host) -> None:
    host.write("one/sub/a", "old")
    host.write("two/sub/a", "new").chmod(0o750)
    host.write("two/b/c")
    (host.files / "two/sub").chmod(0o550)
    (host.files / "two").chmod(0o705)
    host.write("one/b")
    (host.files / "one" / "d").symlink_to("sub")
    host.write("two/d/e")
    before = host.mode_of_workspace()
    host.build(copy(host.files / "one", "/workspace"), copy(host.files / "two", "/workspace/"))
    place = host.box / "workspace"
    assert names(place) == ["b", "b/c", "d", "d/e", "sub", "sub/a"]
    assert (place / "sub/a").read_text() == "new"
    assert stat.S_IMODE((place / "sub/a").stat().st_mode) == 0o750
    assert stat.S_IMODE((place / "sub").stat().st_mode) == 0o750
    assert stat.S_IMODE(place.stat().st_mode) == before
    assert names(host.files / "one") == ["b", "d", "sub", "sub/a"]


def test_copy_of_a_file_lands_in_the_target(host: Host) -> None:
    host.build(copy(host.write("file", "x"), "/etc"), copy(host.write("two", "y"), "/"))
    assert (host.box / "etc/file").read_text() == "x"
    assert (host.box / "two").read_text() == "y"


def test_links_within_a_copied_tree_are_kept(host: Host) -> None:
    host.write("tree/sub/a", "a")
    links = {"up": "../sub/a", "all": str(host.files / "tree"), "gone": "no/such", "two": "up"}
    for name, text in links.items():
        (host.files / "tree/sub" / name).symlink_to(text)
    host.build(copy(host.files / "tree", "/workspace"))
    place = host.box / "workspace/sub"
    assert {name: str((place / name).readlink()) for name in links} == links


def test_inner_targets_replace_files_of_outer_ones(host: Host) -> None:
    host.write("tree/lib/old")
    host.write("tree/file")
    host.build(
        copy(host.files / "tree", "/workspace"),
        mount(host.files / "dir", "/workspace/lib", writable=True),
        mount(host.files / "dir", "/workspace/file", writable=True),
        mount(host.files / "tree", "/mnt"),
        mount(host.files / "dir", "/mnt/lib", writable=True),
    )
    for name in ("workspace/lib", "workspace/file", "mnt/lib"):
        assert names(host.box / name) == ["hello.txt"]
    assert names(host.files) == [
        "dir",
        "dir/hello.txt",
        "tree",
        "tree/file",
        "tree/lib",
        "tree/lib/old",
    ]
    assert stat.S_IMODE((host.files / "dir").stat().st_mode) & 0o200


@pytest.mark.parametrize(
    "inner",
    [
        lambda source: mount(source, "/mnt/inner"),
        lambda source: mount(source, "/mnt/a/b/inner", writable=True),
        lambda source: copy(source, "/mnt/sub"),
        lambda source: copy(source, "/mnt/"),
    ],
    ids=["mount", "deep", "copy", "same"],
)
def test_nothing_is_created_in_a_folder_of_the_host(
    host: Host, inner: Callable[[Path], pb.MountSpec | pb.CopySpec]
) -> None:
    host.write("tree/file")
    (host.files / "dir/sub").mkdir()
    with pytest.raises(CannotPrepareError, match=r"^target '/mnt.*' is in a writable mount or"):
        host.build(mount(host.files / "dir", "/mnt", writable=True), inner(host.files / "tree"))
    assert names(host.files / "dir") == ["hello.txt", "sub"]


def test_nothing_is_created_behind_a_mounted_link(host: Host) -> None:
    host.write("tree/file")
    (host.files / "tree/link").symlink_to(host.files / "dir")
    with pytest.raises(CannotPrepareError, match="behind a symlink"):
        host.build(mount(host.files / "tree", "/mnt"), mount(host.files / "tree", "/mnt/link/x"))
    assert names(host.files / "dir") == ["hello.txt"]


def test_copy_does_not_write_through_a_link(host: Host) -> None:
    host.write("one/file")
    (host.files / "one/link").symlink_to(host.files / "one/inner")
    host.write("one/inner/hello.txt", "hello")
    host.write("two/link/hello.txt", "changed")
    host.build(copy(host.files / "one", "/workspace"), copy(host.files / "two", "/workspace/"))
    assert (host.box / "workspace/link/hello.txt").read_text() == "changed"
    assert (host.files / "one/inner/hello.txt").read_text() == "hello"


def test_source_that_contains_the_sandboxes_is_not_copied_into_itself(host: Host) -> None:
    source = host.files.parent
    host.build(mount(source, "/mnt"), copy(source, "/workspace"))
    for place in ("mnt", "workspace"):
        assert names(host.box / place) == ["files", "files/dir", "files/dir/hello.txt"]


def test_tilde_is_the_home_folder(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(host.files))
    made = host.build(pb.MountSpec(source="~/dir", target="~/data"))
    assert names(host.box / "home/agbox/data") == ["hello.txt"]
    assert made.home == host.box / "home/agbox"
    assert made.host_path("/home/agbox/data") == host.box / "home/agbox/data"


async def test_failed_build_leaves_nothing(host: Host) -> None:
    runner = PassThroughRunner(host.box.parent, HostClock())
    gone = Spec(mounts=[mount(host.files / "dir", "/a"), mount(host.files / "no", "/b")])
    with pytest.raises(CannotPrepareError, match=f"No such file or directory: '{host.files}/no'"):
        await runner.prepare("box-1", gone)
    assert list(host.box.parent.iterdir()) == []


async def test_removal_during_a_build_removes_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = PassThroughRunner(host.box.parent, HostClock())
    building, proceed = threading.Event(), threading.Event()
    build = FileSystem.build

    def slow_build(self: FileSystem, copies: Sequence[PlannedCopy]) -> None:
        build(self, copies)
        building.set()
        assert proceed.wait(TIMEOUT)

    monkeypatch.setattr(FileSystem, "build", slow_build)
    prepared = asyncio.ensure_future(runner.prepare("box-1", Spec()))
    assert await asyncio.to_thread(building.wait, TIMEOUT)
    await runner.remove("box-1")
    assert names(host.box) == ["home", "home/agbox", "workspace"]
    proceed.set()
    await prepared
    await runner.remove("box-1")
    assert not host.box.exists()


def test_removal_follows_no_links_and_ignores_modes(host: Host) -> None:
    host.write("dir/sub/file")
    made = host.build(
        mount(host.files / "dir", "/rw", writable=True), mount(host.files / "dir", "/ro")
    )
    (made.home / "link").symlink_to(host.files / "dir")
    (made.home / "closed" / "in").mkdir(parents=True)
    (made.home / "closed").chmod(0)
    modes = {path: path.stat().st_mode for path in host.files.rglob("*")}
    remove_tree(host.box)
    assert not host.box.exists()
    assert {path: path.stat().st_mode for path in host.files.rglob("*")} == modes
    remove_tree(host.box)


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/workspace", True),
        ("/workspace/../workspace/a", True),
        ("//workspace", True),
        ("/mnt/y/sub", True),
        ("/mnt", False),
        ("/", False),
        ("/workspacex", False),
        ("/a-/workspace", False),
        ("/tmp", False),
    ],
)
def test_host_paths(host: Host, path: str, inside: bool) -> None:
    made = host.build(mount(host.files / "dir", "/mnt/y"), copy(host.files / "dir", "/"))
    normal = os.path.normpath(path).replace("//", "/")
    assert made.host_path(path) == Path(f"{host.box}{normal}" if inside else normal)


@pytest.mark.parametrize(
    "text",
    [
        "@/workspace",
        "echo kept > @/workspace/f",
        "ls -A @/workspace; cat @/mnt/y/hello.txt",
        "--dir=@/workspace:@/mnt/y:/usr",
        "'@/workspace' \"@/workspace\" (@/workspace) `@/workspace`",
        "${DIR:-@/workspace}/x",
        "@/mnt/y.d/x @/mnt/y/.d",
        "/mnt /mnt/x /mnt/yy /mnt/y-2 /workspacex /workspace.bak",
        "./workspace src/workspace ../workspace ~/workspace $X/workspace ${X}/workspace",
        "$(pwd)/workspace */workspace [a]/workspace https://host/workspace -I/workspace",
    ],
)
def test_whole_paths_are_rewritten_everywhere(host: Host, text: str) -> None:
    spec = Spec(
        mounts=[mount(host.files / "dir", "/mnt/y")], copies=[copy(host.files / "dir", "/mnt/y.d")]
    )
    made = FileSystem(host.box, spec)
    assert made.rewritten(text.replace("@", "")) == text.replace("@", str(host.box))
    assert made.rewritten(f"{host.box}/workspace/f") == f"{host.box}/workspace/f"
