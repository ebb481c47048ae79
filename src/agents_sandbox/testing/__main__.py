"""The fake daemon as a program: `python -m agents_sandbox.testing --socket PATH`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

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
        )
    except ValueError as error:
        parser.error(str(error))
    finished = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: finished.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return _serve(daemon, finished)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _serve(daemon: FakeDaemon, finished: threading.Event) -> int:
    try:
        daemon.start()
    except (OSError, RuntimeError) as error:
        print(f"cannot listen on {daemon.socket_path}: {error}", file=sys.stderr)
        return 1
    try:
        print(f"fake agboxd {daemon.version} listening on {daemon.socket_path}", flush=True)
        finished.wait()
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
