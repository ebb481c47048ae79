"""What the program says of errors: no message is in terms of Python."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox._cli.words import in_shell_words
from agents_sandbox.testing import FakeDaemon

from .conftest import Run

pytestmark = pytest.mark.once

NO_TEXT = "\udcff"
"""A byte of the command line that is no UTF-8, as Python reads it."""

LEFT = "sandbox box-1 may exist, because its delete failed: delete it later"


def python_names() -> Iterator[str]:
    """The public methods and their parameters, but for those that are English words."""
    for name, method in inspect.getmembers(SyncAgentsSandboxClient, inspect.isfunction):
        if not name.startswith("_"):
            yield from (one for one in (name, *inspect.signature(method).parameters) if "_" in one)


PYTHON = re.compile("|".join({*python_names(), r"\w+\[", '="'}))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rm", "nope"), "sandbox nope was not found"),
        (("show", ""), "the id of the sandbox must not be empty"),
        (("logs", ""), "the id of the command must not be empty"),
        (
            ("run", "stopped", "true"),
            "sandbox stopped is not ready (a command requires READY: see agents-sandbox show)",
        ),
        (
            ("events", "-f", "--timeout", "0.1", "stopped"),
            "the events did not end within 0.1 s. Increase --timeout",
        ),
        (("create", "a:1", "--id", "d2"), "the id of the sandbox must be 4 to 200 characters"),
        (("create", ""), "the image must not be empty"),
        (("run", "", "true"), "the image must not be empty"),
        (("run", f"img{NO_TEXT}", "true"), "the image is not valid Unicode text"),
        (("run", "a:1", "--", "true", NO_TEXT), "a word of the command is not valid Unicode text"),
        (("run", "a:1", "--cwd=src", "true"), "--cwd must be an absolute path in the sandbox"),
        (("run", "a:1", f"--env=A={NO_TEXT}", "true"), "--env A is not valid Unicode text"),
        (("ls", f"--label=a={NO_TEXT}"), "--label a is not valid Unicode text"),
        (("ls", f"--label={NO_TEXT}=a"), "--label is not valid Unicode text"),
        (("ls", "--timeout=-1"), "--timeout must be above 0: -1\n"),
        (("ls", "--timeout=-1.5"), "--timeout must be above 0: -1.5\n"),
        (("ls", "--timeout=1 h"), "--timeout: invalid duration '1 h'"),
    ],
)
def test_a_message_is_for_people_at_a_shell(
    run: Run, client: SyncAgentsSandboxClient, arguments: tuple[str, ...], expected: str
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="stopped")
    client.stop_sandbox("stopped")
    result = run(*arguments)
    assert result.stderr.startswith(f"agents-sandbox: {expected}")
    assert not PYTHON.search(result.stderr)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("DEADLINE_EXCEEDED", "the request did not end within 5 s. Increase --timeout"),
        ("INTERNAL", "injected failure"),
    ],
)
def test_a_call_that_fails_is_not_named(
    run: Run, daemon: FakeDaemon, code: str, expected: str
) -> None:
    with daemon.faults.failing(code, method="ListSandboxes"):
        result = run("ls")
    assert result.stderr == f"agents-sandbox: {expected}\n"


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        (
            "sandbox box-1 may exist: delete it with delete_sandbox",
            "sandbox box-1 may exist: delete it with agents-sandbox rm",
        ),
        (
            "exec e-1 may be running: check with get_exec",
            "exec e-1 may be running: see agents-sandbox show",
        ),
        (
            "exec e-1 may still be running: end it with cancel_exec(kill=True)",
            "exec e-1 may still be running: stop or delete its sandbox",
        ),
        (
            (
                "exec e-1 was not ended within 1 s: increase cleanup_timeout_seconds, or stop or "
                "delete its sandbox"
            ),
            "exec e-1 was not ended within 1 s: stop or delete its sandbox",
        ),
        (
            (
                f"{LEFT} (the clean-up did not end within cleanup_timeout_seconds): "
                "delete_sandbox did not end within 1 s: increase timeout_seconds"
            ),
            f"{LEFT} (the clean-up took too long)",
        ),
        (f"{LEFT}: delete_sandbox: no", f"{LEFT}: no"),
        (
            "KeyboardInterrupt interrupted the clean-up, which went on",
            "Ctrl-C interrupted the clean-up, which went on",
        ),
        (
            "SystemExit interrupted the clean-up, which went on",
            "SIGTERM or SIGHUP interrupted the clean-up, which went on",
        ),
        (
            (
                "list_sandboxes: the answer exceeds the limit of 64 MiB: list fewer sandboxes at "
                "once with label_selector"
            ),
            "the answer exceeds the limit of 64 MiB: list fewer sandboxes at once with --label",
        ),
    ],
)
def test_what_is_rare(python: str, shell: str) -> None:
    assert in_shell_words(python) == shell
