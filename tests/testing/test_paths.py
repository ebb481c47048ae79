"""Mounts and copies: which paths each release accepts."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol.profile import profile_for
from agents_sandbox.testing._protocol.refusals import StatusError
from agents_sandbox.testing._protocol.spec import Spec
from agents_sandbox.testing._validation.paths import resolve_paths

from .raw import Raw, connected
from .releases import RELEASES, before, since

pytestmark = pytest.mark.once


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(tmp_path / "sock"))
    return tmp_path


def resolved(version: str, kind: str, source: str, target: str = "/t") -> tuple[str, str]:
    """Return the paths that the daemon uses."""
    spec = Spec(mounts=[pb.MountSpec(source=source, target=target)])
    if kind == "copy":
        spec = Spec(copies=[pb.CopySpec(source=source, target=target)])
    result = resolve_paths(spec, profile_for(version), ())
    entry = (result.mounts or result.copies)[0]
    assert (spec.mounts or spec.copies)[0].source == source  # not changed
    return entry.source, entry.target


def why_not(version: str, kind: str, source: str, target: str = "/t") -> str:
    with pytest.raises(StatusError) as caught:
        resolved(version, kind, source, target)
    assert (caught.value.code.name, caught.value.details) == ("INVALID_ARGUMENT", None)
    return caught.value.message


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("kind", ["mount", "copy"])
@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("", "", "{kind} source is required"),
        ("rel", "", "{kind} source must be absolute: rel"),
        (
            "{root}/none",
            "",
            "{kind} source path is invalid: lstat {root}/none: no such file or directory",
        ),
        (
            "{root}/file/x",
            "",
            "{kind} source path is invalid: lstat {root}/file/x: not a directory",
        ),
        ("/a\0b", "", "{kind} source path is invalid: lstat /a\0b: invalid argument"),
        ("{root}/link", "", "{kind} source must not be a symlink: {root}/link"),
        ("{root}/dir", "", "{kind} target is required"),
        ("{root}/file", "rel", "{kind} target must be absolute: rel"),
    ],
)
def test_refused_paths(
    sources: Path, version: str, kind: str, source: str, target: str, message: str
) -> None:
    expected = message.format(root=sources, kind=kind)
    assert why_not(version, kind, source.format(root=sources), target) == expected


@pytest.mark.parametrize("kind", ["mount", "copy"])
@pytest.mark.parametrize("file", ["fifo", "sock"])
@pytest.mark.parametrize("version", before("0.3.2"))
def test_fifos_and_sockets_are_refused_before_032(
    sources: Path, version: str, kind: str, file: str
) -> None:
    source = f"{sources}/{file}"
    assert why_not(version, kind, source) == f"{kind} source must be a file or directory: {source}"


@pytest.mark.parametrize("kind", ["mount", "copy"])
@pytest.mark.parametrize("version", since("0.3.2"))
def test_sockets_are_accepted_since_032(sources: Path, version: str, kind: str) -> None:
    assert resolved(version, kind, f"{sources}/sock") == (f"{sources}/sock", "/t")
    assert why_not(version, kind, f"{sources}/fifo") == (
        f"{kind} source must be a file, directory, or unix socket: {sources}/fifo"
    )


@pytest.mark.parametrize("root", ["/", "//", "/tmp/.."])
def test_root_can_be_mounted_but_not_copied_since_031(root: str) -> None:
    for version in RELEASES:
        assert resolved(version, "mount", root) == (root, "/t")
    for version in before("0.3.1"):
        assert resolved(version, "copy", root) == (root, "/t")
    for version in since("0.3.1"):
        assert why_not(version, "copy", root) == "copy source must not be the root directory"


@pytest.mark.parametrize("kind", ["mount", "copy"])
@pytest.mark.parametrize("path", ["~", "~/x", "~bob/x"])
@pytest.mark.parametrize("version", before("0.3.2"))
def test_tilde_is_not_expanded_before_032(
    sources: Path, version: str, kind: str, path: str
) -> None:
    assert why_not(version, kind, path) == f"{kind} source must be absolute: {path}"
    why = why_not(version, kind, f"{sources}/dir", path)
    assert why == f"{kind} target must be absolute: {path}"


@pytest.mark.parametrize("kind", ["mount", "copy"])
@pytest.mark.parametrize("version", since("0.3.2"))
def test_tilde_is_expanded_since_032(
    sources: Path, monkeypatch: pytest.MonkeyPatch, version: str, kind: str
) -> None:
    monkeypatch.setenv("HOME", str(sources))

    assert resolved(version, kind, "~", "~") == (str(sources), "/home/agbox")
    assert resolved(version, kind, "~/dir", "~/x/y/") == (f"{sources}/dir", "/home/agbox/x/y")
    assert why_not(version, kind, "~/none") == (
        f"{kind} source path is invalid: lstat {sources}/none: no such file or directory"
    )
    assert why_not(version, kind, "~bob/x") == "~username syntax is not supported: ~bob/x"
    # The target's tilde is checked before the source, except for an empty source.
    assert why_not(version, kind, "rel", "~bob") == "~username syntax is not supported: ~bob"
    assert why_not(version, kind, "", "~bob") == f"{kind} source is required"


@pytest.mark.parametrize("version", ["0.2.1", "0.4.3"])
def test_conflicting_targets(sources: Path, version: str) -> None:
    entry = {"source": str(sources / "dir"), "target": "/t"}
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        assert raw.why_refused(mounts=[entry, entry]) == (
            "conflicting target /t between mount and mount"
        )
        assert raw.why_refused(mounts=[entry], copies=[entry]) == (
            "conflicting target /t between mount and copy"
        )
        assert raw.why_refused(copies=[entry, entry]) == (
            "conflicting target /t between copy and copy"
        )
        raw.create(mounts=[entry, {**entry, "target": "/t/"}])  # fails later


def test_expanded_targets_can_conflict() -> None:
    mounts = [{"source": "/", "target": target} for target in ("~/x", "/home/agbox/x")]
    with FakeDaemon(version="dev") as daemon, connected(daemon) as raw:
        assert raw.why_refused(mounts=mounts) == (
            "conflicting target /home/agbox/x between mount and mount"
        )


def test_recorded_request_keeps_its_paths(sources: Path) -> None:
    with FakeDaemon(version="dev") as daemon, connected(daemon) as raw:
        raw.create(mounts=[{"source": str(sources), "target": "~/x"}])
        (mount,) = daemon.calls[0].request.create_spec.mounts
    assert mount.target == "~/x"


def test_declared_host_paths_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv")
    options: Any = {"version": "dev", "host_paths": ["/srv/data"]}
    with FakeDaemon(**options) as daemon, connected(daemon) as raw:
        assert raw.why_refused(mounts=[{"source": "/srv/other", "target": "/t"}]) == (
            "mount source path is invalid: lstat /srv/other: no such file or directory"
        )
        assert raw.why_refused(mounts=[{"source": "rel", "target": "/t"}]) == (
            "mount source must be absolute: rel"
        )
        raw.create(
            mounts=[{"source": "/srv/data", "target": "/t"}],
            copies=[{"source": "~/data", "target": "/u"}],
        )


def test_message_with_a_nul_arrives(raw: Raw) -> None:
    # Some versions of gRPC cut a status message at a NUL.
    why = raw.why_refused(mounts=[{"source": "/a\0b", "target": "/t"}])
    assert why.startswith("mount source path is invalid: lstat /a")
