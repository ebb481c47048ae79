"""The fake daemon as a program: `python -m agents_sandbox.testing --socket PATH`."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from ._arguments import docker_host, make_parser
from ._daemon import FakeDaemon


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Args:
        argv: The command line without the program's name; by default that of this process.

    Returns:
        The exit code: 0 after a signal, 1 if the socket cannot be used.

    Raises:
        SystemExit: The command line is wrong or asks for what this system does not allow (code
            2), or it was `--help` (code 0).
    """
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.fault_method and not options.fault:
        parser.error("--fault-method requires --fault")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            daemon = _make_daemon(options)
    except (RuntimeError, ValueError) as error:
        parser.error(str(error))
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    faults = dict(options.fault)
    # Without faults there is no chaos: it draws random numbers for each call and each event.
    chaos = daemon.faults.chaos(options.seed, method=options.fault_method, **faults)
    with _catch_signals() as signals, chaos if faults else nullcontext():
        return _serve(daemon, signals)


def _make_daemon(options: argparse.Namespace) -> FakeDaemon:
    daemon = FakeDaemon(
        version=options.daemon_version,
        reported_version=options.reported_version,
        socket_path=options.socket,
        exec_mode=options.exec,
        exec_log_root=options.exec_log_root,
        ready_delay=options.ready_delay,
        stop_delay=options.stop_delay,
        idle_ttl=options.idle_ttl,
        cleanup_ttl=options.cleanup_ttl,
        known_images=options.known_image,
        missing_images=options.missing_image,
        containers=dict(options.container),
        host_paths=options.host_path,
        docker=docker_host(options),
        max_calls=0,  # no other process can read them
    )
    for script in options.on_exec:
        daemon.on_exec(script.argv).stdout(script.stdout).exit(script.exit_code)
    return daemon


@contextmanager
def _catch_signals() -> Iterator[socket.socket]:
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
            yield reader
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_fd)


def _serve(daemon: FakeDaemon, signals: socket.socket) -> int:
    try:
        daemon.start()
    except (OSError, RuntimeError) as error:
        print(f"cannot listen on {daemon.socket_path}: {error}", file=sys.stderr)
        return 1
    try:
        print(f"fake agboxd {daemon.version} listening on {daemon.socket_path}", flush=True)
        signals.recv(1)
    finally:
        daemon.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
