"""Draws the pictures of the command line's page: `python -m tests.cli.pictures`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agents_sandbox import SandboxFailedError, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .terminal import CTRL_C, Terminal

FOLDER = Path(__file__).parents[2] / "docs" / "_static" / "cli"
COLUMNS = 92

# What readers have in place of the temporary folder; as long as that.
RUNTIME = "/run/user/1000"

PROMPT = ("$ ", "bold green")

# What a spinner prints, and erases at its end, between hiding and showing the cursor; the program
# shows that again at its own end.
WAITING = r"\x1b\[\?25l.*?\x1b\[\?25h(\r?\x1b\[[0-9]*[AK])*|\x1b\[\?25h$"


def main() -> None:
    """Draw all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _runtime() as folder:
        draw("doctor-absent", folder, "doctor")
        with FakeDaemon(socket_path=folder / "agbox/agboxd.sock", version="0.2.1"):
            draw("doctor-old", folder, "doctor")
        with FakeDaemon(socket_path=folder / "agbox/agboxd.sock", ready_delay=5):
            draw("waiting", folder, "run", "python:3.13", "--", "make", "test", until="0:00:03")
        with FakeDaemon(
            socket_path=folder / "agbox/agboxd.sock", missing_images=["gcc:41"]
        ) as daemon:
            draw("doctor", folder, "doctor")
            _draw_sandboxes(daemon, folder)


def _draw_sandboxes(daemon: FakeDaemon, folder: Path) -> None:
    daemon.on_exec(("make", "test")).stdout("12 passed, 1 failed\n").exit(1)
    daemon.on_exec(("sleep", "60")).never()
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        labels = {"team": "agents", "job": "42"}
        image = "ghcr.io/agents-sandbox/coding-runtime:latest"
        client.create_sandbox(sandbox_id="review-42", image=image, labels=labels)
        client.create_sandbox(sandbox_id="nightly", image="python:3.13")
        client.run("nightly", ("make", "test"), exec_id="unit-tests")
        client.stop_sandbox("nightly")
        with suppress(SandboxFailedError):
            client.create_sandbox(sandbox_id="build-7", image="gcc:41", labels={"team": "tools"})
        client.create_exec("review-42", ("sleep", "60"), exec_id="server")
        draw("ls", folder, "ls")
        draw("show", folder, "show", "review-42")
        draw("events", folder, "events", "nightly")
        draw("run", folder, "run", "python:3.13", "--", "make", "test")
        client.cancel_exec("server")


def draw(name: str, folder: Path, *arguments: str, until: str = "") -> None:
    """Run one command, and draw what it prints.

    Args:
        name: The name of the picture.
        folder: The runtime folder, with the daemon's socket.
        arguments: The command.
        until: Draw the moment in which it has printed this; by default its end.
    """
    with Terminal(*arguments, columns=COLUMNS, XDG_RUNTIME_DIR=str(folder)) as terminal:
        if until:
            terminal.wait_for(until)
            printed, code = terminal.printed, 0
            terminal.type(CTRL_C)
            terminal.end()
        else:
            code = terminal.end()
            printed = re.sub(WAITING, "", terminal.printed, flags=re.DOTALL)
    printed = printed.replace(str(folder), RUNTIME).replace("\r\n", "\n").rstrip("\n")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.assemble(PROMPT, " ".join(("agents-sandbox", *arguments))))
        console.print(Text.from_ansi(printed))
        if code:
            console.print(Text.assemble(PROMPT, f"echo $?\n{code}"))
    drawn = console.export_svg(title="", unique_id=name)
    # The page loads no fonts of others.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    (FOLDER / f"{name}.svg").write_text(svg, "utf-8")


@contextmanager
def _runtime() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    try:
        (folder / "agbox").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
