"""`doctor`, with healthy, absent, old and other peers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner, Result

from agents_sandbox import __version__
from agents_sandbox._cli.program import program
from agents_sandbox._connection.address import MAX_PATH_BYTES
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from ..impostor import always, impostor
from .conftest import Run, objects

pytestmark = pytest.mark.once


@pytest.fixture
def path() -> Iterator[Path]:
    """A path short enough for a socket; pytest's own can be too long."""
    with TemporaryDirectory(prefix="agbox-", dir="/tmp") as name:
        yield Path(name).resolve() / "agboxd.sock"


def doctor(path: Path, *options: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Return the exit code of `doctor`, and what it says of each check."""
    return findings(CliRunner().invoke(program, ["--socket", str(path), *options, "doctor"]))


def findings(result: Result) -> tuple[int, dict[str, tuple[str, str, str]]]:
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    return result.exit_code, {check: (verdict, found, what) for check, verdict, found, what in rows}


def test_all_is_well(run: Run, daemon: FakeDaemon) -> None:
    code, found = findings(run("doctor"))
    assert code == 0
    assert {verdict for verdict, _, _ in found.values()} == {"OK"}
    assert f"agents-sandbox {__version__}, Python 3." in found["SDK"][1]
    assert found["socket"][1] == f"{daemon.socket_path} (from --socket)"
    assert found["access"][1].startswith("accepts connections, srw")
    assert found["daemon"][1] == "agboxd 0.4.3"
    assert found["release"] == ("OK", "everything works", "-")


def test_json_has_one_object_for_each_check(run: Run) -> None:
    *_, release = objects(run("doctor", "--json").stdout)
    assert release == {
        "check": "release",
        "verdict": "OK",
        "found": "everything works",
        "advice": "",
    }


def test_the_path_can_come_from_the_environment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path.parent))
    _, found = findings(CliRunner().invoke(program, ["doctor"]))
    assert found["socket"][1].endswith("/agbox/agboxd.sock (from XDG_RUNTIME_DIR)")


def test_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    code, found = findings(CliRunner().invoke(program, ["doctor"]))
    assert code == 1
    assert found["socket"][0] == "PROBLEM"
    assert found["socket"][1].endswith("XDG_RUNTIME_DIR is not set")
    assert found["socket"][2] == "Set it to the daemon's value or pass --socket"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "x" * 200)
    code, found = findings(CliRunner().invoke(program, ["doctor"]))
    assert code == 1
    assert found["socket"][1].endswith(f"XDG_RUNTIME_DIR is over {MAX_PATH_BYTES} bytes")
    assert found["socket"][2] == "Pass --socket"


def test_a_path_that_cannot_be_one() -> None:
    code, found = doctor(Path("/" + "x" * 200))
    assert code == 1
    assert found["socket"][1].startswith("--socket has 201 bytes, over the limit of ")
    assert found["socket"][2] == "Use a shorter path"
    code, found = findings(CliRunner().invoke(program, ["--socket", "http://a", "doctor"]))
    assert code == 1
    assert found["socket"][2] == "-"


def test_bad_variables_are_problems_of_their_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTS_SANDBOX_LOG", "loud")
    monkeypatch.setenv("AGENTS_SANDBOX_TIMEOUT", "soon")
    monkeypatch.setenv("AGENTS_SANDBOX_OPERATION_TIMEOUT", "5m")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    checks = [(one["check"], one["verdict"]) for one in objects(result.stdout)]
    assert checks[2:4] == [("environment", "PROBLEM")] * 2
    assert {verdict for _, verdict in checks[4:]} == {"OK"}
    log, timeout = objects(result.stdout)[2:4]
    assert log["found"] == "AGENTS_SANDBOX_LOG must be info or debug, not 'loud'"
    assert log["advice"] == "Change AGENTS_SANDBOX_LOG, or unset it"
    assert timeout["found"].startswith("AGENTS_SANDBOX_TIMEOUT: invalid duration 'soon'")


def test_an_absent_daemon(path: Path) -> None:
    code, found = doctor(path)
    assert code == 1
    expected = ("PROBLEM", "the socket does not exist", "Is the daemon running? Start agboxd")
    assert found["access"] == expected
    assert "daemon" not in found


def test_a_file_that_is_no_socket(path: Path) -> None:
    path.touch(mode=0o640)
    code, found = doctor(path)
    assert code == 1
    verdict, what, advice = found["access"]
    assert (verdict, advice) == ("PROBLEM", "Pass the path of the daemon's socket")
    assert what.startswith("it is not a socket, -rw-r-----")


def test_a_socket_without_permission(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(socket.socket):
        def connect(self, address: object, /) -> None:
            raise PermissionError

    def nameless(path: Path) -> str:
        raise KeyError

    monkeypatch.setattr(socket, "socket", Forbidden)  # root may do everything
    monkeypatch.setattr(Path, "owner", nameless)
    monkeypatch.setattr(Path, "group", lambda path: "docker")
    code, found = findings(run("doctor"))
    assert code == 1
    verdict, what, advice = found["access"]
    assert (verdict, advice) == ("PROBLEM", "Run as the daemon's user")
    assert what == "permission denied, srw------- ?:docker"


LIMITS = "cpu_limit, memory_limit, disk_limit (since 0.4.1), gpus (since 0.4.3)"


@pytest.mark.parametrize(
    ("release", "missing"),
    [
        ("0.4.1", "gpus (since 0.4.3)"),
        ("0.4.0", LIMITS),
        ("0.3.0", f"ports, command (since 0.4.0), {LIMITS}"),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_an_old_daemon_is_worth_a_note(run: Run, missing: str) -> None:
    code, found = findings(run("doctor"))
    assert code == 0
    verdict, what, advice = found["release"]
    assert verdict == "NOTE"
    assert what == f"everything works but these arguments of create_sandbox: {missing}"
    assert advice == "Upgrade the daemon to 0.4.3 if you need them"


@pytest.mark.parametrize(
    ("version", "verdict", "what"),
    [
        ("0.1.9", "PROBLEM", "this SDK supports 0.2.0 up to 0.x"),
        ("0.9.0", "NOTE", "newer than this SDK, which treats it like 0.4.3"),
        ("dev", "OK", "a build that is no release"),
        ("0.4.0-rc1", "OK", "a build that is no release"),
    ],
)
def test_other_releases(path: Path, version: str, verdict: str, what: str) -> None:
    answer = pb.PingResponse(version=version, daemon="agboxd")
    with impostor(path, {"Ping": always(answer)}):
        code, found = doctor(path)
    assert code == (1 if verdict == "PROBLEM" else 0)
    assert found["release"][0] == verdict
    assert what in found["release"][1]
    if verdict == "PROBLEM":
        assert found["release"][2] == "Use a release of the SDK that supports it"


def test_peers_that_are_no_daemon(path: Path) -> None:
    with impostor(path, {}):
        code, found = doctor(path)
    assert code == 1
    assert found["daemon"][0] == "PROBLEM"
    assert "agents-sandbox daemon" in found["daemon"][2]
    with impostor(path, {"Ping": always(pb.PingResponse(version="1", daemon="other\x1b"))}):
        code, found = doctor(path)
    assert code == 1
    assert found["daemon"][1] == "the peer calls itself 'other\\x1b'"


def test_a_peer_that_does_not_answer(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        code, found = doctor(path, "--timeout", "0.2")
    assert code == 1
    assert found["daemon"][0] == "PROBLEM"
    assert found["daemon"][1].startswith("no answer to ping")


def test_the_other_sdk(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "agents_sandbox_sdk-0.4.3.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: agents-sandbox-sdk\nVersion: 0.4.3\n")
    monkeypatch.syspath_prepend(tmp_path)
    code, found = findings(run("doctor"))
    assert code == 1
    verdict, what, advice = found["other SDK"]
    assert verdict == "PROBLEM"
    assert "agents-sandbox-sdk 0.4.3 is installed, too" in what
    assert advice.startswith("pip uninstall agents-sandbox-sdk; ")
    assert found["release"][0] == "OK"  # it goes on
