"""Copies: what a create brings to a container, and what fails it, with the recorded texts."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands.isolation.probe import obstacle_to_isolation

from .raw import Raw, connected
from .releases import since

pytestmark = pytest.mark.once

Mode = Literal["scripted", "passthrough", "isolated"]

VERSIONS: dict[Mode, str] = {"scripted": "0.2.1", "passthrough": "0.4.3", "isolated": "0.4.3"}
"""All was recorded with both; no test needs both in each mode."""


@pytest.fixture(params=VERSIONS)
def mode(request: pytest.FixtureRequest) -> Mode:
    mode: Mode = request.param
    if mode == "isolated" and (obstacle := obstacle_to_isolation()):
        pytest.skip(obstacle)
    return mode


@pytest.fixture
def version(mode: Mode) -> str:
    return VERSIONS[mode]


@pytest.fixture
def daemon(mode: Mode, version: str) -> Iterator[FakeDaemon]:
    with FakeDaemon(
        version=version,
        exec_mode=mode,
        missing_images=["gone:1"],
        image_folders=["/var/run/app/data"],
        host_paths=["/srv/declared"],
    ) as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree like that of the recordings."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for name in ("a.txt", "sub/b.py", "sub/c.txt"):
        (tree / name).write_text(name)
    (tmp_path / "file.txt").touch()
    return tree


def copy(source: Path | str, target: str, *exclude: str) -> dict[str, Any]:
    return {"source": str(source), "target": target, "exclude_patterns": exclude}


def end(raw: Raw, **spec: Any) -> str:
    """How a create ends: empty, or why it failed."""
    raw.create(**spec)
    ends = (pb.SANDBOX_READY, pb.SANDBOX_FAILED)
    (*_, event) = raw._follow("box-1", lambda event: event.event_type in ends)
    failed = event.event_type == pb.SANDBOX_FAILED
    assert event.sandbox_phase.error_code == ("SANDBOX_CREATE_FAILED" if failed else "")
    return event.sandbox_phase.error_message


def not_found(target: str) -> str:
    return (
        f"copy to container agbox-primary-box-1 at {target}: Error response from daemon: "
        f"Could not find the file {target} in container agbox-primary-box-1"
    )


def no_folder(target: str) -> str:
    return (
        f"copy to container agbox-primary-box-1 at {target}: Error response from daemon: "
        "extraction point is not a directory"
    )


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/",
            "/workspace",
            "/workspace/",
            "/home/agbox",
            "/opt",
            "/etc",
            "/tmp",
            "/usr/local/bin",
        ),
        *("/bin", "/var/run", "/var/spool/mail", "/opt/../srv", "/run/app", "/var/run/app/data"),
    ],
)
def test_folders_of_the_image_are_targets(raw: Raw, source: Path, target: str, mode: Mode) -> None:
    assert end(raw, copies=[copy(source, target), copy(source / "a.txt", f"{target}/sub")]) == ""
    if mode == "isolated":
        raw.start("cat", f"{target}/a.txt", f"{target}/sub/a.txt")
        assert raw.finished().exit_code == 0


@pytest.mark.parametrize(
    "target", ["/nope", "/opt/data", "/mnt/x", "/etc/passwd/x", "/workspace/a/"]
)
def test_a_target_is_not_made(raw: Raw, source: Path, target: str) -> None:
    assert end(raw, copies=[copy(source, target)]) == not_found(target)
    assert raw.history() == [
        *("SANDBOX_ACCEPTED:PENDING", "SANDBOX_PREPARING:PENDING", "SANDBOX_FAILED:FAILED")
    ]


def test_a_target_that_is_a_file(raw: Raw, source: Path) -> None:
    assert end(raw, copies=[copy(source, "/etc/passwd")]) == no_folder("/etc/passwd")


def test_a_target_that_an_earlier_copy_brought_as_a_file(raw: Raw, source: Path) -> None:
    copies = [copy(source / "a.txt", "/opt"), copy(source, "/opt/a.txt")]
    assert end(raw, copies=copies) == no_folder("/opt/a.txt")


@pytest.mark.parametrize("in_order", [True, False])
def test_copies_go_in_the_order_of_the_request(raw: Raw, source: Path, in_order: bool) -> None:
    copies = [copy(source, "/workspace"), copy(source, "/workspace/sub")]
    why = end(raw, copies=copies if in_order else copies[::-1])
    assert why == ("" if in_order else not_found("/workspace/sub"))


def test_what_a_copy_leaves_out_is_no_target(raw: Raw, source: Path) -> None:
    copies = [copy(source, "/workspace", "sub"), copy(source, "/workspace/sub")]
    assert end(raw, copies=copies) == not_found("/workspace/sub")


@pytest.mark.parametrize(
    ("text", "why"),
    [("sub", None), ("../workspace/sub", None), ("/opt", None), ("again", not_found), (".", None)],
)
def test_a_target_may_be_a_link_that_an_earlier_copy_brought(
    raw: Raw, tmp_path: Path, text: str, why: Any
) -> None:
    # The source is named like the target: so the texts of all links stay in the tree.
    tree = tmp_path / "opt" / "workspace"
    (tree / "sub").mkdir(parents=True)
    (tree / "link").symlink_to(text)
    (tree / "again").symlink_to("link")
    target = "/workspace/link"
    copies = [copy(tmp_path / "opt", "/"), copy(tree, target)]
    if text == "/opt":  # absolute texts are those of the host
        why = f"build tar for {tmp_path}/opt: copy source contains external symlink: {tree}/link"
        assert end(raw, copies=copies) == why
    else:
        assert end(raw, copies=copies) == ("" if why is None else why(target))


@pytest.mark.parametrize(
    ("text", "external"),
    [
        ("sub/b.py", False),
        ("no/such", False),
        ("a-link", False),
        ("{tree}/sub", False),
        ("{tree}", False),
        ("sub/../../tree/a.txt", False),
        ("..", True),
        ("sub/../../file.txt", True),
        ("../tree2", True),
        ("{tree}2", True),
        ("/etc/hostname", True),
    ],
)
def test_links_may_not_point_out_of_the_tree(
    raw: Raw, source: Path, text: str, external: bool
) -> None:
    (source / "a-link").symlink_to("a.txt")
    (source / "link").symlink_to(text.format(tree=source))
    (source / "sub/late").symlink_to("/etc/hostname")
    why = f"build tar for {source}: copy source contains external symlink: {source}/"
    # The first bad one is named, in the order of the names.
    assert end(raw, copies=[copy(source, "/opt")]) == why + ("link" if external else "sub/late")


def test_links_that_are_left_out_may_point_anywhere(raw: Raw, source: Path) -> None:
    (source / "link").symlink_to("/etc/hostname")
    (source / "sub/late").symlink_to("/etc/hostname")
    assert end(raw, copies=[copy(source, "/opt", "link", "sub")]) == ""


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("*.py", {"sub/b.py"}),
        ("sub", {"sub", "sub/b.py", "sub/c.txt"}),
        ("sub/", set()),
        ("sub*c*", set()),
        ("[^a]*", {"sub", "sub/b.py", "sub/c.txt"}),
        ("[!a]*", {"a.txt"}),
        ("**/*.py", {"sub/b.py"}),
        ("", set()),
        ("[", set()),
    ],
)
@pytest.mark.parametrize("version", sorted(set(VERSIONS.values())))
def test_excluded_files_as_recorded(
    version: str, source: Path, pattern: str, left_out: set[str]
) -> None:
    with (
        FakeDaemon(version=version, exec_mode="passthrough") as daemon,
        connected(daemon) as raw,
    ):
        raw.ready(copies=[copy(source, "/workspace", pattern)])
        answer = raw.start("find", ".", "-mindepth", "1")
        raw.finished()
        found = Path(answer.stdout_log_path).read_text().split()
    every = {"a.txt", "sub", "sub/b.py", "sub/c.txt"}
    assert {path.removeprefix("./") for path in found} == every - left_out


def test_images_are_looked_for_before_copies(raw: Raw, source: Path, version: str) -> None:
    sides = {"0.2.1": "optional_services", "0.4.3": "companion_containers"}
    side = {sides[version]: [{"name": "side", "image": "gone:1"}]}
    why = end(raw, copies=[copy(source, "/nope")], **side)
    assert why.startswith("Error response from daemon: pull access denied for gone:1")


@contextmanager
def bound_socket(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))
        yield


@pytest.mark.parametrize("version", since("0.3.2"))
def test_a_socket_is_accepted_and_refused_before_anything_else(
    version: str, tmp_path: Path
) -> None:
    path = tmp_path / "sock"
    with (
        bound_socket(path),
        FakeDaemon(version=version, missing_images=["gone:1"]) as daemon,
        connected(daemon) as raw,
    ):
        why = f"copy source must be a file or directory: {path}"
        assert end(raw, image="gone:1", copies=[copy(path, "/nope")]) == why


@pytest.mark.parametrize("kind", ["mount", "copy"])
def test_sources_are_looked_at_again(raw: Raw, source: Path, kind: str) -> None:
    entry = {"source": f"{source}/a.txt", "target": "/opt"}
    fields: Any = {"mounts": [entry]} if kind == "mount" else {"copies": [entry]}
    with raw.daemon.paused():
        raw.create(**fields)
        (source / "a.txt").unlink()
    (*_, event) = raw.wait_for(pb.SANDBOX_FAILED)
    assert event.sandbox_phase.error_message == (
        f"{kind} source path is invalid: lstat {source}/a.txt: no such file or directory"
    )


@pytest.mark.parametrize("version", ["0.2.1"])
def test_the_root_cannot_be_read(raw: Raw) -> None:
    # At a device if not before. From 0.3.1 on it is refused.
    assert end(raw, copies=[copy("/", "/opt")]).startswith("build tar for /: ")


def test_what_is_no_file_cannot_be_read(raw: Raw, source: Path) -> None:
    os.mkfifo(source / "sub/pipe")
    why = f"build tar for {source}: read {source}/sub/pipe: "
    assert end(raw, copies=[copy(source, "/opt")]).startswith(why)


@pytest.mark.parametrize("name", ["a.txt", "sub"])
def test_what_is_protected_cannot_be_read(
    raw: Raw, source: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Root may read everything.
    monkeypatch.setattr(os, "access", lambda path, _: path != str(source / name))
    why = f"build tar for {source}: open {source}/{name}: permission denied"
    assert end(raw, copies=[copy(source, "/opt")]) == why
    tree = source if name == "sub" else source / name
    why = why.replace(f"for {source}:", f"for {tree}:") if name == "a.txt" else why
    raw.create("box-2", copies=[copy(tree, "/opt")])
    (*_, event) = raw.wait_for(pb.SANDBOX_FAILED, "box-2")
    assert event.sandbox_phase.error_message == why


def test_a_name_that_is_no_text(raw: Raw, source: Path) -> None:
    os.mkfifo(os.fsencode(source) + b"/\xff")
    why = f"build tar for {source}: read {source}/\ufffd: "
    assert end(raw, copies=[copy(source, "/opt")]).startswith(why)


def test_declared_sources_are_empty_folders(raw: Raw) -> None:
    assert end(raw, copies=[copy("/srv/declared", "/opt")]) == ""


@pytest.mark.parametrize("mode", ["scripted"])
@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/mnt/rw/", ""),
        ("/mnt/rw/sub", ""),
        ("/mnt/rw/link", ""),
        ("/mnt", ""),
        ("/mnt/deep", ""),
        ("/run/deep/rw", ""),
        ("/mnt/declared", ""),
        ("/mnt/declared/sub", not_found),
        ("/mnt/rw/none", not_found),
        ("/mnt/rw/a.txt", no_folder),
        ("/mnt/deep/file/", no_folder),
    ],
)
def test_mounts_are_targets(raw: Raw, source: Path, target: str, why: Any) -> None:
    (source / "link").symlink_to("sub")
    mounts = [
        {"source": str(source), "target": "/mnt/rw", "writable": True},
        {"source": str(source), "target": "/var/run/deep/rw", "writable": True},
        {"source": f"{source}/a.txt", "target": "/mnt/deep/file"},
        {"source": "/srv/declared", "target": "/mnt//declared", "writable": True},
    ]
    expected = why(target) if why else ""
    assert end(raw, mounts=mounts, copies=[copy(source / "a.txt", target)]) == expected


def test_read_only_mounts_are_no_targets(raw: Raw, source: Path) -> None:
    mounts = [{"source": str(source), "target": "/mnt/ro"}]
    assert end(raw, mounts=mounts, copies=[copy(source, "/mnt/ro/sub")]) == (
        "copy to container agbox-primary-box-1 at /mnt/ro/sub: Error response from daemon: "
        "mounted volume is marked read-only"
    )


def test_a_failed_copy_leaves_no_files(raw: Raw, source: Path) -> None:
    assert end(raw, copies=[copy(source, "/opt"), copy(source, "/nope")]) == not_found("/nope")
    assert list((raw.daemon.exec_log_root.parent).glob("sandboxes/*")) == []


def test_the_daemons_own_files_are_not_copied(
    mode: Mode, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as base:
        monkeypatch.setattr(tempfile, "tempdir", base)
        with FakeDaemon(version=version, exec_mode=mode) as daemon, connected(daemon) as raw:
            assert Path(daemon.socket_path).is_relative_to(base)
            assert end(raw, copies=[copy(base, "/opt")]) == ""  # a socket would fail it
