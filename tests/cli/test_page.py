"""The page about the command line: its examples print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox._cli.program import program
from agents_sandbox.testing import FakeDaemon

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
EXAMPLES = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(BLOCKS), re.MULTILINE)


def test_the_examples_print_what_the_page_shows(tmp_path: Path) -> None:
    assert len(EXAMPLES) > 10
    (tmp_path / "agbox").mkdir()
    program_file = tmp_path / "agents-sandbox"
    program_file.write_text(f'#!/bin/sh\nexec {sys.executable} -m agents_sandbox "$@"\n')
    program_file.chmod(0o755)
    # After each example comes an end, and the exit code is still that of the example.
    end = "--end--\n"
    script = "".join(f"{one}\ncode=$?; printf -- '{end}'; (exit $code)\n" for one, _ in EXAMPLES)
    variables = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    variables["XDG_RUNTIME_DIR"] = str(tmp_path)
    variables["PATH"] = f"{tmp_path}:{variables['PATH']}"
    socket_path = tmp_path / "agbox" / "agboxd.sock"
    with FakeDaemon(socket_path=socket_path, exec_mode="passthrough") as daemon:
        daemon.on_exec(("make", "test")).stdout("12 passed, 1 failed\n").exit(1)
        with SyncAgentsSandboxClient(socket_path) as client:
            client.create_sandbox(image="python:3.13", sandbox_id="nightly")
            client.run("nightly", ("make", "test"), exec_id="unit-tests")
        done = subprocess.run(
            ["sh"],
            cwd=tmp_path,
            input=script,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=True,
        )
    *printed, rest = done.stdout.split(end)
    assert rest == ""
    for (command, shown), actual in zip(EXAMPLES, printed, strict=True):
        assert "agents-sandbox: " not in actual, command
        assert not shown or actual == shown, command


def test_the_page_names_every_command_option_and_code() -> None:
    for name, command in program.commands.items():
        assert f"agents-sandbox {name} " in TEXT or f"`{name}`" in TEXT, name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[0] in TEXT, (name, option.opts)
