"""The fake daemon as a program: `python -m agents_sandbox.testing --socket PATH`."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ._daemon import FakeDaemon


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        argv: The command line without the program's name; by default the process's own.

    Returns:
        The exit code: 0 after a signal, 1 if the socket cannot be used.

    Raises:
        SystemExit: With code 2: the command line is wrong.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        daemon = FakeDaemon(
            version=options.daemon_version,
            socket_path=options.socket,
            exec_mode=options.exec,
            exec_log_root=options.exec_log_root,
            ready_delay=options.ready_delay,
            stop_delay=options.stop_delay,
            missing_images=options.missing_image,
            host_paths=options.host_path,
            max_calls=0,  # nobody can read them
        )
    except ValueError as error:
        parser.error(str(error))
    with _caught_signals() as signals:
        return _serve(daemon, signals)


@contextmanager
def _caught_signals() -> Iterator[socket.socket]:
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        # Locks and events lose a signal that comes just before they block, or deadlock in
        # its handler; a byte sent by the interpreter itself stays until it is read.
        wakeup_fd = signal.set_wakeup_fd(writer.fileno())
        previous = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents_sandbox.testing",
        description="A fake agents-sandbox daemon on a Unix socket.",
    )
    parser.add_argument("--socket", required=True, metavar="PATH", help="where to listen")
    parser.add_argument("--daemon-version", default="0.2.1", metavar="VERSION")
    parser.add_argument(
        "--exec",
        choices=("scripted", "passthrough"),
        default="scripted",
        help="passthrough really runs the commands on this host, unprotected",
    )
    parser.add_argument("--exec-log-root", metavar="DIR", help="where exec logs go and stay")
    parser.add_argument("--ready-delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--stop-delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--missing-image", action="extend", nargs="+", default=[], metavar="IMAGE")
    parser.add_argument("--host-path", action="extend", nargs="+", default=[], metavar="PATH")
    return parser


if __name__ == "__main__":
    sys.exit(main())
