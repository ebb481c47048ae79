"""The command line: `python -m agents_sandbox.testing`."""

from __future__ import annotations

import inspect
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from agents_sandbox import DaemonUnavailableError, SyncAgentsSandboxClient
from agents_sandbox._connection.address import MAX_PATH_BYTES
from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, DockerHost, FakeDaemon, Faults, Recorder
from agents_sandbox.testing.__main__ import main
from agents_sandbox.testing._arguments import FAULTS, fault, make_parser, make_record_parser

from ..releases import NEWEST
from .raw import TIMEOUT

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "agboxd.sock"


def ping(path: Path) -> pb.PingResponse:
    # By default gRPC looks for the socket only once a second.
    options = [(f"grpc.{bound}_reconnect_backoff_ms", 10) for bound in ("initial", "min", "max")]
    with grpc.insecure_channel(f"unix:{path}", options) as channel:
        call: Any = channel.unary_unary(methods.PING.path)
        return pb.PingResponse.FromString(call(b"", timeout=TIMEOUT, wait_for_ready=True))


def terminate_once_listening(path: Path) -> None:
    """Send this process a SIGTERM once the program answers."""

    def terminate() -> None:
        # The channel waits for the socket, which the program creates after its signal handlers.
        ping(path)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()


@contextmanager
def hangup(action: signal.Handlers) -> Iterator[None]:
    """Set what SIGHUP does; the processes that are started in the block inherit it."""
    before = signal.signal(signal.SIGHUP, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def running(
    path: Path,
    *options: str,
    on_hangup: signal.Handlers = signal.SIG_DFL,
    stderr: int | None = None,
    exit_code: int = 0,
) -> Iterator[subprocess.Popen[str]]:
    """Run the program in its own process, from its ready line to its exit."""
    command = [sys.executable, "-m", "agents_sandbox.testing", "--socket", str(path), *options]
    with hangup(on_hangup):  # the tests themselves may run under nohup
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    with started as process:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], TIMEOUT)
        assert readable
        assert str(path) in process.stdout.readline()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.stdout.read() == ""
            assert process.wait(TIMEOUT) == exit_code


@pytest.mark.parametrize("number", ENDS)
def test_serves_until_a_signal_and_leaves_nothing(
    path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(path.parent))
    with running(path) as process:
        assert ping(path).version == NEWEST
        assert len(list(path.parent.glob("agboxd-*"))) == 1
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
    assert list(path.parent.iterdir()) == []


class Stream:
    """An event stream of a sandbox; its first event was read."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.create("box-1")
        subscribe: Any = channel.unary_stream(methods.SUBSCRIBE_SANDBOX_EVENTS.path)
        request = pb.SubscribeSandboxEventsRequest(sandbox_id="box-1")
        self._events = subscribe(request.SerializeToString(), timeout=TIMEOUT)
        next(self._events)

    def create(self, sandbox_id: str = "") -> bytes:
        """Create a sandbox on the connection of the stream."""
        create: Any = self._channel.unary_unary(methods.CREATE_SANDBOX.path)
        request = pb.CreateSandboxRequest(sandbox_id=sandbox_id, create_spec={"image": "a:1"})
        answer: bytes = create(request.SerializeToString(), timeout=TIMEOUT)
        return answer

    def is_active(self) -> bool:
        """Whether it has not ended."""
        return bool(self._events.is_active())

    def end(self) -> grpc.StatusCode:
        """Read to the end, which comes after all events, and return its status."""
        with suppress(grpc.RpcError):
            for _ in self._events:
                pass
        code: grpc.StatusCode = self._events.code()
        return code


@contextmanager
def stream(path: Path) -> Iterator[Stream]:
    """Hold an event stream open."""
    with grpc.insecure_channel(f"unix:{path}") as channel:
        yield Stream(channel)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waits_for_event_streams_after_a_signal(
    path: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def end() -> None:
        ping(path)
        with stream(path) as events:
            os.kill(os.getpid(), number)
            with suppress(grpc.RpcError):
                while events.create():
                    pass
            refused.append(events.is_active())

    refused: list[bool] = []
    ending = threading.Thread(target=end)
    ending.start()
    assert main(["--socket", str(path)]) == 0
    ending.join()
    assert refused == [True]
    assert capsys.readouterr().err == (
        "waiting up to 60 s until clients close their event streams (1); another signal ends them\n"
    )


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_it_immediately(path: Path, number: signal.Signals) -> None:
    with running(path, stderr=subprocess.PIPE) as process, stream(path) as events:
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert process.stderr.readline()
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
        assert events.end() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.once
def test_a_hangup_ends_event_streams(path: Path) -> None:
    with running(path) as process, stream(path) as events:
        process.send_signal(signal.SIGHUP)
        assert process.wait(TIMEOUT) == 0
        assert events.end() is grpc.StatusCode.UNAVAILABLE


def test_serves_on_after_a_hangup_under_nohup(path: Path) -> None:
    with running(path, on_hangup=signal.SIG_IGN) as process:
        process.send_signal(signal.SIGHUP)
        assert ping(path).version == NEWEST


def test_options_reach_the_daemon(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(number) for number in ENDS]

    arguments = (
        f"--daemon-version 0.4.3 --reported-version dev --exec passthrough "
        f"--exec-log-root {path}.logs --ready-delay 0.5 --stop-delay 1 "
        "--remove-delay 300ms --idle-ttl 1m30s "
        "--cleanup-ttl 2h --known-image a:1 b:1 --missing-image c:1 d:1 --missing-image e:1 "
        "--image-without-command f:1 g:1 "
        "--container db=unhealthy --container web=healthy --container app=slow:2s "
        "--container job=crashing --container worker=crashing:5 --container a:1=error:no=space: "
        "--image-folder /opt/app /opt/web --host-path /srv/data --docker-without gpus disk-quota "
        "--docker-api 1.41 --port-in-use 80 443"
    )
    assert options_of_the_daemon(path, arguments, monkeypatch) == {
        "version": "0.4.3",
        "reported_version": "dev",
        "socket_path": str(path),
        "exec_mode": "passthrough",
        "unscripted": "succeed",
        "cassette": None,
        "in_order": False,
        "exec_log_root": f"{path}.logs",
        "ready_delay": 0.5,
        "stop_delay": 1.0,
        "remove_delay": 0.3,
        "idle_ttl": 90.0,
        "cleanup_ttl": 7200.0,
        "known_images": ["a:1", "b:1"],
        "missing_images": ["c:1", "d:1", "e:1"],
        "image_folders": ["/opt/app", "/opt/web"],
        "images_without_command": ["f:1", "g:1"],
        "containers": {
            "db": ContainerBehavior(healthy=False),
            "web": ContainerBehavior(),
            "app": ContainerBehavior(healthy_after=2.0),
            "job": ContainerBehavior(exits_after=0.0),
            "worker": ContainerBehavior(exits_after=5.0),
            "a:1": ContainerBehavior(error="no=space:"),
        },
        "host_paths": ["/srv/data"],
        "docker": DockerHost(
            api_version=(1, 41), gpus=False, disk_quota=False, ports_in_use=[80, 443]
        ),
        "max_calls": 0,
    }
    assert capsys.readouterr().out == f"fake agboxd dev listening on {path}\n"
    assert [signal.getsignal(number) for number in ENDS] == handlers


def test_the_defaults_are_those_of_the_daemon_but_commands_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = inspect.signature(FakeDaemon).parameters
    ours = options_of_the_daemon(path, "", monkeypatch)
    assert signature.keys() - ours.keys() == {"virtual_time"}  # only a test can move it
    expected = {
        "socket_path": str(path),
        "exec_mode": "auto",
        "missing_images": [],
        "image_folders": [],
        "images_without_command": [],
        "host_paths": [],
        "containers": {},
        "docker": DockerHost(ports_in_use=[]),
        "max_calls": 0,
    }
    assert ours == {name: signature[name].default for name in ours} | expected


def options_of_the_daemon(
    path: Path, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """Run the program in this process; return the options that it gives to its daemon."""
    seen: dict[str, object] = {}
    init = FakeDaemon.__init__

    def remember(self: FakeDaemon, **options: object) -> None:
        seen.update(options)
        init(self, **options)  # type: ignore[arg-type]  # any options

    monkeypatch.setattr(FakeDaemon, "__init__", remember)
    terminate_once_listening(path)
    assert main(["--socket", str(path), *arguments.split()]) == 0
    return seen


@pytest.mark.once
def test_scripted_commands(path: Path) -> None:
    scripts = ("--on-exec", "make  'all tests'", "2", "2 failed\n", "--on-exec", "ls", "0", "")
    with running(path, *scripts), SyncAgentsSandboxClient(str(path)) as client:
        sandbox = client.create_sandbox(image="a:1")
        failed = client.run(sandbox.sandbox_id, ("make", "all tests"))
        assert failed.exit_code == 2
        assert failed.stdout_log_path is not None
        assert Path(failed.stdout_log_path).read_text() == "2 failed\n"
        assert client.run(sandbox.sandbox_id, ("ls",)).exit_code == 0


@pytest.mark.once
def test_unscripted_commands(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        running(path, "--unscripted", "fail", exit_code=1),
        SyncAgentsSandboxClient(str(path)) as client,
    ):
        client.create_sandbox(image="a:1", sandbox_id="box-1")
        assert client.run("box-1", ("make",), exec_id="exec-1").exit_code is None
    told = capfd.readouterr().err
    assert told == "unscripted command: exec exec-1 in sandbox box-1: ('make',)\n"


@pytest.mark.once
def test_faults(path: Path) -> None:
    kinds = ("--fault", "lose-answer=1", "--fault", "delay=1:1ms")
    with (
        running(path, *kinds, "--fault-method", "CreateSandbox"),
        SyncAgentsSandboxClient(str(path)) as client,
    ):
        with pytest.raises(DaemonUnavailableError):
            client.create_sandbox(image="a:1", sandbox_id="demo", wait=False)
        assert [sandbox.sandbox_id for sandbox in client.list_sandboxes()] == ["demo"]


@pytest.mark.unmeasured
@pytest.mark.once
def test_faults_follow_the_seed(path: Path) -> None:
    def outcomes(seed: str) -> list[bool]:
        with running(path, "--fault", "unavailable=0.5", "--seed", seed):
            return [answers(path) for _ in range(16)]

    assert outcomes("7") == outcomes("7") != outcomes("8")


def answers(path: Path) -> bool:
    """Return whether a ping is answered."""
    try:
        ping(path)
    except grpc.RpcError:
        return False
    return True


def test_help_names_each_option_and_fault_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for option in make_parser()._actions:
        assert option.help
        assert f"  {option.option_strings[0]}" in shown
    chaos = inspect.signature(Faults.chaos).parameters.keys()
    kinds = chaos - {"self", "seed", "method", "restart"}
    assert {fault(f"{kind}=0:0" if kind == "delay" else f"{kind}=0")[0] for kind in FAULTS} == kinds
    for kind in FAULTS:
        assert f"\n  {kind}=P" in shown


CONTAINER_KINDS = "healthy, unhealthy, slow:TIME, crashing[:TIME], error:MESSAGE"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: --socket"),
        ("--socket=", "socket path must not be empty"),
        ("--socket /s --sock /t", "unrecognized arguments: --sock /t"),
        ("--socket /s --exec docker", "argument --exec: invalid choice: 'docker'"),
        (
            "--socket /s --daemon-version 9",
            "daemon version '9' is not supported: use one of 0.2.0, 0.2.1, 0.3.0",
        ),
        (f"--socket /{'x' * MAX_PATH_BYTES}", f"long, the limit is {MAX_PATH_BYTES}"),
        (
            "--socket /s --ready-delay soon",
            "--ready-delay: TIME must be seconds or a Go duration such as 1m30s, not 'soon'",
        ),
        ("--socket /s --stop-delay=-1", "--stop-delay: TIME must be finite and not negative: '-1'"),
        ("--socket /s --idle-ttl=-1m", "--idle-ttl: TIME must be finite and not negative: '-1m'"),
        ("--socket /s --idle-ttl nan", "--idle-ttl: TIME must be finite and not negative: 'nan'"),
        ("--socket /s --cleanup-ttl inf", "TIME must be finite and not negative: 'inf'"),
        ("--socket /s --container db", "argument --container: expected NAME=KIND, not 'db'"),
        ("--socket /s --container =healthy", "--container: expected NAME=KIND, not '=healthy'"),
        ("--socket /s --container db=", f"KIND must be one of {CONTAINER_KINDS}, not ''"),
        ("--socket /s --container db=sick", f"KIND must be one of {CONTAINER_KINDS}, not 'sick'"),
        ("--socket /s --container db=healthy:1", "KIND must be one of "),
        ("--socket /s --container db=slow", "KIND must be one of "),
        ("--socket /s --container db=error:", "KIND must be one of "),
        ("--socket /s --container db=slow:x", "argument --container: TIME must be seconds or a "),
        ("--socket /s --container db=crashing:", "such as 1m30s, not ''"),
        ("--socket /s --docker-without cpus", "invalid choice: 'cpus'"),
        ("--socket /s --docker-api 1", "argument --docker-api: VERSION must be like 1.44, not '1'"),
        ("--socket /s --port-in-use 0", "--port-in-use: PORT must be from 1 to 65535, not '0'"),
        ("--socket /s --port-in-use 65536", "PORT must be from 1 to 65535, not '65536'"),
        ("--socket /s --port-in-use http", "PORT must be from 1 to 65535, not 'http'"),
        ("--socket /s --on-exec ls 256 x", "CODE must be an exit code from 0 to 255, not '256'"),
        ("--socket /s --on-exec ls zero x", "CODE must be an exit code from 0 to 255, not 'zero'"),
        (
            "--socket /s --on-exec ' 0 x",
            'argument --on-exec: COMMAND "\'" cannot be parsed: No closing quotation',
        ),
        ("--socket /s --on-exec # 0", "argument --on-exec: expected 3 arguments"),
        ("--socket /s --fault fire=1", "argument --fault: KIND must be one of unavailable, "),
        ("--socket /s --fault drop", "argument --fault: PROBABILITY must be from 0 to 1, not ''"),
        ("--socket /s --fault skip=2", "PROBABILITY must be from 0 to 1, not '2'"),
        ("--socket /s --fault skip=nan", "PROBABILITY must be from 0 to 1, not 'nan'"),
        ("--socket /s --fault delay=1", "expected delay=PROBABILITY:TIME, not 'delay=1'"),
        ("--socket /s --fault delay=1:x", "argument --fault: TIME must be seconds or a Go "),
        ("--socket /s --fault-method Pong", "argument --fault-method: 'Pong' is not one of the "),
        ("--socket /s --fault-method Ping", "--fault-method requires --fault"),
    ],
)
def test_bad_arguments(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in complaint(arguments.split(), capsys)


def test_an_empty_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    shown = complaint(["--socket", "/s", "--on-exec", "", "0", ""], capsys)
    assert "argument --on-exec: COMMAND must not be empty" in shown


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the program with a wrong command line; return its one line of error."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m agents_sandbox.testing: error: ")
    assert line.endswith(" (see --help)")
    return line


def test_path_in_use(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeDaemon(socket_path=path):
        assert main(["--socket", str(path)]) == 1
        assert ping(path).daemon == "agboxd"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert f"cannot listen on {path}: " in shown.err
    assert "a daemon is already listening" in shown.err


def test_unusable_path(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("data")
    assert main(["--socket", str(path)]) == 1
    assert "exists and is not a socket" in capsys.readouterr().err
    assert path.read_text() == "data"


def test_failed_stop_is_not_reported_as_a_failed_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = FakeDaemon.stop

    def broken(daemon: FakeDaemon) -> None:
        stop(daemon)
        raise OSError("disk full")

    monkeypatch.setattr(FakeDaemon, "stop", broken)
    terminate_once_listening(path)
    with pytest.raises(OSError, match="disk full"):
        main(["--socket", str(path)])
    assert "cannot listen" not in capsys.readouterr().err


def record(path: Path, *arguments: str) -> int:
    """Run the recorder in this process; `path` is that of its socket."""
    cassette = path.with_name("x.json")
    return main(["record", "--socket", str(path), "--cassette", str(cassette), *arguments])


def test_records_until_a_signal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeDaemon() as daemon:
        terminate_once_listening(path)
        assert record(path, "--daemon", daemon.socket_path, "--redact", "secret") == 0
        assert capsys.readouterr().out == f"recording {daemon.socket_path} on {path}\n"
        assert f'"daemon": "{NEWEST}"' in path.with_name("x.json").read_text()


def test_redacts_values_of_variables(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    options = make_record_parser().parse_args(
        ["--daemon=d", "--socket=s", "--cassette=c", "--redact-env=SECRET", "--redact=x"]
    )
    assert options.redact == ["hunter2", "x"]
    with pytest.raises(SystemExit):
        record(path, "--daemon", "x", "--redact-env", "NONE")
    assert "the variable 'NONE' is not set" in capsys.readouterr().err


def test_replays_a_cassette(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cassette = path.with_name("x.json")
    with FakeDaemon() as daemon:
        daemon.on_exec(["a"]).stdout("b")
        recorder = Recorder(daemon.socket_path, cassette=cassette)
        with recorder, SyncAgentsSandboxClient(recorder.socket_path) as client:
            client.run(client.create_sandbox(image="a:1").sandbox_id, ["a"])
    options: Any = {"exit_code": 1, "stderr": subprocess.DEVNULL}
    program = running(path, "--cassette", str(cassette), **options)
    with program, SyncAgentsSandboxClient(path) as client:
        sandbox_id = client.create_sandbox(image="a:1").sandbox_id
        assert client.run(sandbox_id, ["a"]).stdout == "b"
        assert client.run(sandbox_id, ["a"]).error
    with pytest.raises(SystemExit):
        main(["--socket", str(path), "--cassette", str(path.with_name("none"))])
    assert "No such file" in capsys.readouterr().err


def test_a_recorder_that_cannot_record_says_why(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeDaemon() as daemon:
        assert record(Path(daemon.socket_path), "--daemon", daemon.socket_path) == 1
    assert "listening" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        record(path, "--daemon", "")
    assert caught.value.code == 2
    assert "socket path must not be empty" in capsys.readouterr().err
