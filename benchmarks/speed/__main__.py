"""Compares the speed of both clients with gRPC's raw stub and with the published peer.

    python -m benchmarks.speed [--help]

See benchmarks/README.md. The exit code is 1 if a goal is missed or a client failed, else 2 if the
machine was too noisy to judge a goal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.peers.clients import CrossCheckError, install

import agents_sandbox

from .facts import VERSION
from .programs import ROOT, Lab, ProgramError
from .report import line, machine, summary, write
from .rounds import MISSED, NOISY, Figure
from .works import WORKS

_PEER_PYTHON = (3, 12)
"""The oldest Python that the published peer runs with."""


def peer_python(folder: Path) -> Path | None:
    """The Python of the published peer, which is installed if it is not there yet."""
    python = folder / "bin" / "python"
    if python.exists():
        return python
    if sys.version_info < _PEER_PYTHON:
        print("without the published peer: it requires Python 3.12")
        return None
    try:
        return install(VERSION, folder)
    except CrossCheckError as error:
        print(f"without the published peer: {error}")
        return None


def measure(name: str, lab: Lab) -> Iterator[Figure]:
    """Measure all works of a name."""
    for work in WORKS[name]:
        yield from work.measure(lab)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(argv)
    about = machine()
    print(f"the SDK in {Path(agents_sandbox.__file__).parent}")
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    figures: list[Figure] = []
    # Not below the output: the path of a socket must be short.
    with tempfile.TemporaryDirectory() as folder:
        peer = None if options.no_peer else peer_python(options.peer)
        lab = Lab(Path(folder), peer, options.rounds, options.quick)
        failed = False
        for name in options.only or WORKS:
            try:
                for figure in measure(name, lab):
                    print(line(figure), flush=True)
                    figures.append(figure)
            except ProgramError as error:
                print(f"{name}: FAILED: {error}", flush=True)
                failed = True
    write(options.output, about, figures)
    print(f"{summary(figures)}\nresults: {options.output}")
    verdicts = {figure.verdict for figure in figures}
    return 1 if failed or MISSED in verdicts else 2 if NOISY in verdicts else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", choices=WORKS, action="append", help="measure this; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help="rounds; default: what each work needs")
    parser.add_argument("--quick", action="store_true", help="fewer calls: to try it, not to judge")
    parser.add_argument("--no-peer", action="store_true", help="leave out the published peer")
    for flag, folder, what in (
        ("--peer", "bench-peer", "environment of the published peer, made if it is missing"),
        ("--output", "bench-results", "results"),
    ):
        parser.add_argument(
            flag,
            type=Path,
            default=ROOT / ".tox" / folder,
            help=f"folder of the {what}; default: %(default)s",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
