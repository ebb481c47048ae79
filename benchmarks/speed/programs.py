"""The server and the clients as processes of their own, and what their calls cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from .proc import resident_kib

ROOT = Path(__file__).resolve().parents[2]

RAW, AGAIN, OURS, PEER = "raw", "raw again", "ours", "peer"
"""The compared clients. The raw one takes part twice: the difference is the machine's noise."""


class ProgramError(Exception):
    """A program ended, or a call failed that must not."""


@dataclass(frozen=True)
class Burst:
    """What many calls of one client cost its process; see `clients.obeying`."""

    wall: float
    """Seconds by the clock."""
    cpu: float
    """Seconds of CPU of the client's process, in all its threads."""
    threads: int
    """The most threads of Python at the end of one of its tasks or threads."""
    resident_kib: int
    """The memory of the process after it; 0 if unknown."""
    failures: int
    failure: str
    """The first one."""


class Program:
    """A process that obeys lines on its standard input.

    Args:
        process: The process.
        name: What it is.
    """

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._name = name
        self._process = process
        self._stdin = cast("IO[str]", process.stdin)
        self._stdout = cast("IO[str]", process.stdout)

    def tell(self, order: object) -> dict[str, Any]:
        """Give an order, and return the answer."""
        self.begin(order)
        return self.answer()

    def begin(self, order: object) -> None:
        """Give an order."""
        self._stdin.write(f"{json.dumps(order)}\n")
        self._stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Read one line.

        Raises:
            ProgramError: The program has ended.
        """
        line = self._stdout.readline()
        if not line:
            raise ProgramError(f"{self._name} has ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the program end."""
        self._stdin.close()

    def resident_kib(self) -> int:
        """The memory of the process; 0 if unknown."""
        return resident_kib(self._process.pid)

    def burst(self, call: str, calls: int, at_once: int, **arguments: Any) -> Burst:
        """Let a client make many calls.

        Args:
            call: Which one.
            calls: How many.
            at_once: By how many tasks or threads; 0: in the main thread.
            **arguments: What the call is given.

        Raises:
            ProgramError: A call failed.
        """
        self.begin_burst(call, calls, at_once, **arguments)
        burst = self.end_burst()
        if burst.failures:
            raise ProgramError(f"{burst.failures} of {calls} {call} failed: {burst.failure}")
        return burst

    def begin_burst(self, call: str, calls: int, at_once: int, **arguments: Any) -> None:
        """Let a client begin with many calls; arguments as in `burst`."""
        self.begin({"call": call, "calls": calls, "at_once": at_once, "arguments": arguments})

    def end_burst(self) -> Burst:
        """Wait until it has made them; calls may have failed."""
        return Burst(**self.answer())


@dataclass(frozen=True)
class Lab:
    """Where it is measured, and how thoroughly.

    Attributes:
        runtime_dir: The XDG_RUNTIME_DIR of all programs.
        peer: The Python of the published peer; None: it is left out.
        rounds: How many rounds; None: as many as each kind of work wants.
        quick: Whether to make a quarter of the calls: to try the benchmark, not to judge.
    """

    runtime_dir: Path
    peer: Path | None = None
    rounds: int | None = None
    quick: bool = False

    @contextmanager
    def server(self, **options: int) -> Iterator[Program]:
        """Run the bare server until the block ends."""
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with self._program(sys.executable, "server", *arguments) as server:
            server.answer()  # it listens
            yield server

    @contextmanager
    def client(self, name: str, flavour: str, *options: str) -> Iterator[Program]:
        """Run a client until the block ends.

        Args:
            name: Which one, such as `OURS`.
            flavour: What it does: `async`, `blocking` or `codec`.
            options: Options of the program.
        """
        python = str(self.peer) if name == PEER else sys.executable
        kind = "sdk" if name in (OURS, PEER) else "raw"
        with self._program(python, f"clients.{kind}_{flavour}", *options) as client:
            yield client

    def names(self, *, peer: bool = False) -> list[str]:
        """The clients to compare."""
        return [RAW, OURS, AGAIN, *([PEER] if peer and self.peer else [])]

    @contextmanager
    def _program(self, python: str, module: str, *arguments: str) -> Iterator[Program]:
        variables = {**os.environ, "XDG_RUNTIME_DIR": str(self.runtime_dir)}
        if python != sys.executable:
            # A checkout on the path would replace the peer, under the same name.
            variables.pop("PYTHONPATH", None)
        command = [python, "-m", f"benchmarks.speed.{module}", *arguments]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=variables,
        ) as process:
            program = Program(process, module)
            try:
                yield program
            finally:
                program.close()
