"""The fake daemon and the recorder as programs: `python -m agents_sandbox.testing`."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ._arguments import docker_host, make_parser, make_record_parser
from ._daemon import FakeDaemon
from ._recording.recorder import Recorder
from ._server.engine import SHUTDOWN_LIMIT


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, or record until then if the first word is `record`.

    After SIGINT or SIGTERM it waits for its event streams as a real daemon does. SIGHUP or a
    second signal ends it immediately.

    Args:
        argv: The command line without the program's name; by default that of this process.

    Returns:
        The exit code: 0 after a signal, 1 if the socket cannot be used or, with
        `--unscripted fail`, a command was unscripted, or if no cassette could be written.

    Raises:
        SystemExit: The command line is wrong or asks for what this system does not allow (code
            2), or it was `--help` (code 0).
    """
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["record"]:
        return _record(words[1:])
    parser = make_parser()
    options = parser.parse_args(words)
    if options.fault_method and not options.fault:
        parser.error("--fault-method requires --fault")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            daemon = _make_daemon(options)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(str(error))
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    faults = dict(options.fault)
    with _catch_signals() as signals, ExitStack() as stack:
        if faults:  # without any, chaos would draw random numbers for each call and each event
            stack.enter_context(
                daemon.faults.chaos(options.seed, method=options.fault_method, **faults)
            )
        return _serve(daemon, signals)


def _record(words: Sequence[str]) -> int:
    parser = make_record_parser()
    options = parser.parse_args(words)
    try:
        recorder = Recorder(
            options.daemon,
            cassette=options.cassette,
            socket_path=options.socket,
            redact=options.redact,
            mode=options.mode,
        )
    except ValueError as error:
        parser.error(str(error))
    with _catch_signals() as signals:
        try:
            with recorder:
                print(f"recording {options.daemon} on {recorder.socket_path}", flush=True)
                signals.wait()
        except (OSError, RuntimeError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _make_daemon(options: argparse.Namespace) -> FakeDaemon:
    fails = options.unscripted == "fail" or options.cassette is not None
    daemon = FakeDaemon(
        version=options.daemon_version,
        reported_version=options.reported_version,
        socket_path=options.socket,
        exec_mode=options.exec or ("scripted" if fails else "auto"),
        unscripted=options.unscripted,
        cassette=options.cassette,
        in_order=options.in_order,
        exec_log_root=options.exec_log_root,
        ready_delay=options.ready_delay,
        stop_delay=options.stop_delay,
        remove_delay=options.remove_delay,
        idle_ttl=options.idle_ttl,
        cleanup_ttl=options.cleanup_ttl,
        known_images=options.known_image,
        missing_images=options.missing_image,
        image_folders=options.image_folder,
        images_without_command=options.image_without_command,
        containers=dict(options.container),
        host_paths=options.host_path,
        docker=docker_host(options),
        max_calls=0,  # no other process can read them
    )
    for script in options.on_exec:
        daemon.on_exec(script.argv).stdout(script.stdout).exit(script.exit_code)
    return daemon


@dataclass(frozen=True)
class _Signals:
    """The signals that have arrived."""

    reader: socket.socket
    writer: socket.socket

    def wait(self) -> int:
        """Wait for the next signal, or for `interrupt()`; return its number, or 0."""
        return self.reader.recv(1)[0]

    def interrupt(self) -> None:
        """End a `wait()`, from any thread."""
        self.writer.send(b"\0")


@contextmanager
def _catch_signals() -> Iterator[_Signals]:
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        # Locks and events lose a signal that arrives just before they block, or deadlock in
        # its handler. A byte that the interpreter itself sends remains until it is read.
        wakeup_fd = signal.set_wakeup_fd(writer.fileno())
        ends = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            ends.append(signal.SIGHUP)
        previous = {number: signal.signal(number, lambda *_: None) for number in ends}
        try:
            yield _Signals(reader, writer)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_fd)


def _serve(daemon: FakeDaemon, signals: _Signals) -> int:
    try:
        daemon.start()
    except (OSError, RuntimeError) as error:
        print(f"cannot listen on {daemon.socket_path}: {error}", file=sys.stderr)
        return 1
    unscripted = ""
    try:
        print(f"fake agboxd {daemon.version} listening on {daemon.socket_path}", flush=True)
        if signals.wait() != signal.SIGHUP:  # nobody may be left to wait for
            unscripted = _shut_down(daemon, signals)
    finally:
        unscripted += _stop(daemon)  # if it was stopped before, this does and says nothing
    if unscripted:
        print(unscripted, file=sys.stderr)
    return 1 if unscripted else 0


def _stop(daemon: FakeDaemon) -> str:
    """Stop the daemon; return what it says about unscripted commands, if it minds them."""
    try:
        daemon.stop()
    except AssertionError as error:
        return str(error)
    return ""


def _shut_down(daemon: FakeDaemon, signals: _Signals) -> str:
    """Wait until the daemon has ended by itself, or for another signal, and stop it."""
    streams = daemon.open_streams
    daemon.terminate()
    if streams:
        print(
            f"waiting up to {SHUTDOWN_LIMIT:g} s until clients close their event streams "
            f"({streams}); another signal ends them",
            file=sys.stderr,
        )

    def wait() -> None:
        daemon.wait_until_ended(timeout=threading.TIMEOUT_MAX)
        signals.interrupt()

    waiting = threading.Thread(target=wait, name="fake-agboxd-end")
    waiting.start()
    try:
        signals.wait()
    finally:
        unscripted = _stop(daemon)
        waiting.join()
    return unscripted


if __name__ == "__main__":
    sys.exit(main())
