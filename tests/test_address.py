"""Where the daemon listens."""

from __future__ import annotations

import importlib.util
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import DaemonUnavailableError, InvalidArgumentError
from agents_sandbox._connection import address
from agents_sandbox._connection.address import MAX_PATH_BYTES, DaemonAddress
from agents_sandbox.testing._server.socket_file import checked_path


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets; pytest's own can be too long."""
    with tempfile.TemporaryDirectory(prefix="agbox-", dir="/tmp") as name:
        yield Path(name).resolve()


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """The daemon's folder in a home folder on macOS."""
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return folder / "Library" / "Application Support" / "agbox"


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("given_as", [str, Path])
def test_the_path_given_is_taken(given_as: type[str | Path]) -> None:
    assert DaemonAddress(given_as("/run/x.sock")).resolve() == ("/run/x.sock", "socket_path=")


def test_a_relative_path_means_the_present_folder_for_good(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.chdir(folder)
    address = DaemonAddress("sub/../x.sock")
    monkeypatch.chdir("/")
    assert address.resolve()[0] == str(folder / "x.sock")


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("", "must not be empty"),
        (b"/x", "must be a str"),
        (1, "must be a str"),
        ("/\ud800", "is not valid Unicode"),
        ("/run/a\0b", "must not contain NUL"),
        ("localhost:50051", "does not listen at a network address such as 'localhost:50051'"),
        ("[::1]:80", "network address"),
        ("127.0.0.1:0", "network address"),
        ("tcp://localhost:50051", "network address such as 'tcp://localhost:50051'"),
        ("http://localhost/agboxd.sock", "network address"),
        ("dns:localhost", "network address"),
        ("ipv4:127.0.0.1", "network address"),
        ("@agboxd", "not an abstract socket such as '@agboxd'"),
        ("unix:@agboxd", "abstract socket"),
        ("unix-abstract:agboxd", "abstract socket"),
        ("unix://run/agboxd.sock", "must have an absolute path after unix://"),
        ("unix://", "must have an absolute path after unix://"),
        ("unix:///run/a%00b", "must not contain NUL"),
        ("~nobody-has-this-name/x.sock", "the home folder of an unknown user"),
        ("HTTP://localhost/agboxd.sock", "network address"),
        ("UNIX:", "must have an absolute path after unix://"),
        ("$NOT_SET_HERE/x.sock", "begins with '$NOT_SET_HERE', but that environment variable"),
        ("${NOT_SET_HERE}/x.sock", "begins with '${NOT_SET_HERE}', but that environment variable"),
        ("/" + "x" * MAX_PATH_BYTES, f"has {MAX_PATH_BYTES + 1} bytes"),
        ("/" + "\u00e9" * (MAX_PATH_BYTES // 2 + 1), "bytes, over the limit of"),
    ],
)
def test_an_unusable_path_is_refused(refused: object, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^socket_path") as caught:
        # Type checkers refuse it too, as intended.
        DaemonAddress(refused)  # type: ignore[arg-type]  # wrong on purpose
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("unix:///run/agboxd.sock", "/run/agboxd.sock"),
        ("unix:/run/agboxd.sock", "/run/agboxd.sock"),
        ("unix:agboxd.sock", "{cwd}/agboxd.sock"),
        ("UNIX:///run/agboxd.sock", "/run/agboxd.sock"),
        ("unix:///run/a%20b%24c", "/run/a b$c"),
        ("unix://$ODD_DIR/a%20b", "/run/100%41/a b"),
        ("~/agboxd.sock", "/home/me/agboxd.sock"),
        ("unix://~/agboxd.sock", "/home/me/agboxd.sock"),
        (Path("~/agboxd.sock"), "/home/me/agboxd.sock"),
        ("$RUN_DIR/agboxd.sock", "/run/user/1/agboxd.sock"),
        ("${RUN_DIR}x/agboxd.sock", "/run/user/1x/agboxd.sock"),
        ("unix://$RUN_DIR/agboxd.sock", "/run/user/1/agboxd.sock"),
        ("$HOMES/agboxd.sock", "/home/me/all/agboxd.sock"),
        ("./localhost:50051", "{cwd}/localhost:50051"),
        ("./@agboxd", "{cwd}/@agboxd"),
        ("/run/~/$/100%20:5", "/run/~/$/100%20:5"),
        ("/run/$RUN_DIR/${ODD_DIR}", "/run/$RUN_DIR/${ODD_DIR}"),
        ("run/a:5/agboxd.sock", "{cwd}/run/a:5/agboxd.sock"),
    ],
)
def test_a_path_can_be_written_in_many_ways(
    monkeypatch: pytest.MonkeyPatch, folder: Path, written: str | Path, path: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("HOMES", "~/all")
    monkeypatch.setenv("RUN_DIR", "/run/user/1")
    monkeypatch.setenv("ODD_DIR", "/run/100%41")
    meant = path.replace("{cwd}", str(folder))
    assert DaemonAddress(written).resolve() == (meant, "socket_path=")
    assert DaemonAddress(meant).resolve() == (meant, "socket_path="), "it means what it says"
    assert str(checked_path(written)) == meant


def test_the_longest_path_is_the_systems_own(folder: Path) -> None:
    longest = folder / ("x" * (MAX_PATH_BYTES - len(str(folder)) - 1))
    assert DaemonAddress(longest).resolve()[0] == str(longest)
    with socket.socket(socket.AF_UNIX) as unbound:
        with pytest.raises(OSError, match="too long"):
            unbound.bind(f"{longest}x")
        unbound.bind(str(longest))


def test_a_socket_keeps_its_identity_and_a_new_one_has_another(folder: Path) -> None:
    path = folder / "agboxd.sock"
    address = DaemonAddress(path)
    assert address.socket_identity() is None
    path.touch()
    first = address.socket_identity()
    assert first is not None
    assert address.socket_identity() == DaemonAddress(path).socket_identity() == first
    successor = folder / "successor"
    successor.touch()
    successor.replace(path)
    assert address.socket_identity() not in (None, first)


def test_a_link_to_another_socket_is_another_socket(folder: Path) -> None:
    link = folder / "agboxd.sock"
    seen = set()
    for name in ("first", "second"):
        (folder / name).touch()
        link.unlink(missing_ok=True)
        link.symlink_to(folder / name)
        seen.add(DaemonAddress(link).socket_identity())
    assert len(seen) == 2


def test_the_identity_is_that_of_the_socket_that_was_opened(
    monkeypatch: pytest.MonkeyPatch, linux: None, folder: Path
) -> None:
    for name in ("first", "second"):
        touch(folder / name / "agbox" / "agboxd.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "first"))
    address = DaemonAddress(None)
    identity = address.socket_identity()
    address.target()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "second"))
    assert address.socket_identity() == identity
    assert DaemonAddress(None).socket_identity() != identity


def test_a_socket_that_cannot_be_located_has_no_identity(
    monkeypatch: pytest.MonkeyPatch, linux: None
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert DaemonAddress(None).socket_identity() is None


@pytest.mark.parametrize(("platform", "limit"), [("linux", 107), ("darwin", 103)])
def test_the_longest_path_of_each_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, limit: int
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    spec = importlib.util.spec_from_file_location(
        "agents_sandbox._connection._afresh", address.__file__
    )
    assert spec is not None
    assert spec.loader is not None
    afresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(afresh)
    assert limit == afresh.MAX_PATH_BYTES


@pytest.mark.usefixtures("linux")
class TestDefaultOfLinux:
    def test_it_is_in_the_runtime_folder(
        self, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        expected = (f"{folder}/agbox/agboxd.sock", "XDG_RUNTIME_DIR")
        assert DaemonAddress(None).resolve() == expected
        touch(folder / "agbox/agboxd.sock")
        assert DaemonAddress(None).resolve() == expected

    def test_it_is_looked_up_each_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        address = DaemonAddress(None)
        for runtime_dir in ("/run/user/1", "/run/user/2/"):
            monkeypatch.setenv("XDG_RUNTIME_DIR", runtime_dir)
            assert address.resolve()[0] == str(Path(runtime_dir, "agbox/agboxd.sock"))

    def test_a_relative_runtime_folder_is_made_absolute(
        self, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
        assert DaemonAddress(None).resolve()[0] == f"{folder}/run/agbox/agboxd.sock"

    @pytest.mark.parametrize("unset", [None, ""])
    def test_there_is_none_without_a_runtime_folder(
        self, monkeypatch: pytest.MonkeyPatch, unset: str | None
    ) -> None:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        if unset is not None:
            monkeypatch.setenv("XDG_RUNTIME_DIR", unset)
        with pytest.raises(DaemonUnavailableError) as caught:
            DaemonAddress(None).target()
        assert caught.value.socket_path is None
        assert "XDG_RUNTIME_DIR is not set" in str(caught.value)
        assert "pass socket_path=" in str(caught.value)

    def test_a_path_too_long_for_a_socket_has_its_own_message(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        longest = "/" + "x" * (MAX_PATH_BYTES - len("//agbox/agboxd.sock"))
        monkeypatch.setenv("XDG_RUNTIME_DIR", longest)
        assert DaemonAddress(None).resolve()[0] == f"{longest}/agbox/agboxd.sock"
        monkeypatch.setenv("XDG_RUNTIME_DIR", longest + "x")
        with pytest.raises(DaemonUnavailableError, match="XDG_RUNTIME_DIR is over"):
            DaemonAddress(None).resolve()

    def test_a_path_too_long_for_the_system_has_its_own_message(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "x" * 300)
        with pytest.raises(DaemonUnavailableError, match="XDG_RUNTIME_DIR is over"):
            DaemonAddress(None).resolve()


class TestDefaultOfMacOS:
    CANDIDATES = ("agboxd.sock", "run/agboxd.sock")

    @pytest.mark.parametrize(
        ("existing", "taken"),
        [
            ((), "agboxd.sock"),
            (("agboxd.sock",), "agboxd.sock"),
            (("run/agboxd.sock",), "run/agboxd.sock"),
            (CANDIDATES, "agboxd.sock"),
        ],
    )
    def test_the_first_that_exists_is_taken(
        self, macos: Path, existing: tuple[str, ...], taken: str
    ) -> None:
        for name in existing:
            touch(macos / name)
        assert DaemonAddress(None).resolve() == (str(macos / taken), "the default of macOS")

    def test_the_runtime_folder_comes_first(
        self, macos: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        of_runtime = (str(folder / "agbox" / "agboxd.sock"), "XDG_RUNTIME_DIR")
        assert DaemonAddress(None).resolve() == of_runtime
        touch(macos / "agboxd.sock")
        of_home = (str(macos / "agboxd.sock"), "the default of macOS")
        assert DaemonAddress(None).resolve() == of_home
        touch(folder / "agbox" / "agboxd.sock")
        assert DaemonAddress(None).resolve() == of_runtime


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/run/agboxd.sock", "unix:///run/agboxd.sock"),
        ("/a b/c%d#e?f", "unix:///a%20b/c%25d%23e%3Ff"),
        ("/\u00e9", "unix:///%C3%A9"),
        ("/a:b@c", "unix:///a%3Ab%40c"),
        # With one slash fewer, gRPC would take `run` for a host.
        ("//run/agboxd.sock", "unix:////run/agboxd.sock"),
    ],
)
def test_the_target_is_percent_encoded(path: str, target: str) -> None:
    assert DaemonAddress(path).target() == target


@given(st.text(st.characters(exclude_characters="/$", exclude_categories=["Cs"]), min_size=1))
def test_any_target_decodes_to_the_path(name: str) -> None:
    try:
        address = DaemonAddress(f"/run/{name}")
    except InvalidArgumentError:
        assert "\0" in name or len(os.fsencode(f"/run/{name}")) > MAX_PATH_BYTES
        return
    target = address.target()
    assert target.isascii()
    assert not set("?# ") & set(target)
    assert unquote(target.removeprefix("unix://")) == address.resolve()[0]


def test_a_relative_path_needs_a_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InvalidArgumentError, match="the current folder no longer exists"):
        DaemonAddress("agboxd.sock")
    monkeypatch.chdir(tmp_path)
