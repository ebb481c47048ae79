"""Checks this SDK against each published client.

    python -m tests.peers [--release 0.2.1] [--work-dir DIR] [--wheel FILE] [--table]

The client lives a full life cycle on the fake daemon of its release. What users see of it is
compared with this SDK. Then both are installed in one environment, in every order. The clients come
from the package index; they require Python 3.12 or newer.
"""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import MISSING_IMAGE
from .clients import RELEASES, ROOT, CrossCheckError, environment, install
from .comparison import check_reasons, compare, show
from .installs import try_all_orders
from .table import Row

START_TIMEOUT = 30.0
"""How long the fake daemon may take to start, in seconds."""
LIFE_TIMEOUT = 300.0
"""How long all steps of one client may take, in seconds; each step also has its own limit."""
STOP_TIMEOUT = 30.0
"""How long the fake daemon may take to end, in seconds."""


@contextmanager
def fake_daemon(release: str, runtime_dir: Path) -> Iterator[None]:
    """Run the fake daemon as a program, at the default socket of the clients.

    Raises:
        CrossCheckError: It did not start, wrote to stderr, or did not end well.
    """
    command = [
        *(sys.executable, "-W", "error", "-m", "agents_sandbox.testing"),
        *("--socket", str(runtime_dir / "agbox" / "agboxd.sock")),
        *("--daemon-version", release),
        *("--exec", "passthrough"),
        *("--missing-image", MISSING_IMAGE),
        # Docker's first probe would come after 5 s, which is its start interval.
        *("--container", "db=slow:0"),
    ]
    with (
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            print(f"\n{_ready_line(process)}", flush=True)
            yield
        finally:
            exit_code = _terminate(process)
            stderr.seek(0)
            complaints = stderr.read()
            if exit_code or complaints:
                raise CrossCheckError(f"the fake daemon ended with {exit_code}:\n{complaints}")


def _ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT)
    line = process.stdout.readline().strip() if readable else ""
    if not line:
        raise CrossCheckError("the fake daemon did not start")
    return line


def _terminate(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def live(python: Path, release: str, runtime_dir: Path) -> bool:
    """Run all steps with the Python of a client; return False if one failed."""
    variables = environment(XDG_RUNTIME_DIR=str(runtime_dir))
    command = [str(python), "-m", "tests.peers.life", release]
    try:
        life = subprocess.run(command, cwd=ROOT, env=variables, timeout=LIFE_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise CrossCheckError(f"the client did not end within {LIFE_TIMEOUT} s") from error
    return life.returncode == 0


def cross_check(release: str, folder: Path, wheel: Path | None) -> Iterator[Row]:
    """Check against the client of a release; yield how its surface differs from ours.

    Raises:
        CrossCheckError: Something is not as expected.
    """
    python = install(release, folder / f"client-{release}")
    # Not below `folder`: the path of a socket must be short.
    with tempfile.TemporaryDirectory() as runtime_dir, fake_daemon(release, Path(runtime_dir)):
        if not live(python, release, Path(runtime_dir)):
            raise CrossCheckError("a step failed")
    yield from compare(python, release)
    # The files have the same names in all releases.
    if wheel is not None and release == RELEASES[-1]:
        with tempfile.TemporaryDirectory(dir=folder) as work_dir:
            try_all_orders(python, release, wheel, Path(work_dir))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--release", choices=RELEASES, action="append", help="default: all")
    parser.add_argument("--work-dir", type=Path, help="where to install; default: a new folder")
    parser.add_argument(
        "--wheel",
        type=Path,
        default=os.environ.get("TOX_PACKAGE") or None,
        help="this SDK, to install beside the clients; default: that of tox, or else none",
    )
    parser.add_argument("--table", action="store_true", help="print all differences and reasons")
    options = parser.parse_args(argv)
    failed = False
    differences: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        work_dir = options.work_dir or Path(folder)
        for release in options.release or RELEASES:
            try:
                differences.extend(cross_check(release, work_dir, options.wheel))
            except CrossCheckError as error:
                print(f"{release}: {error}", file=sys.stderr)
                failed = True
    if options.table:
        show(differences)
    if not failed and not options.release:
        try:
            check_reasons(differences)
        except CrossCheckError as error:
            print(error, file=sys.stderr)
            failed = True
    print("failed" if failed else "all clients passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
