"""What the program says of an error: the SDK's message, with the options of the shell; pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import SandboxClientError, SandboxFailedError, SyncAgentsSandboxClient
from .codes import SIGNALLED

# Without those whose names are English words.
_CALLS = "|".join(name for name in dir(SyncAgentsSandboxClient) if re.match("[a-z]+_|ping", name))

# What a message of the SDK may begin with, for an argument that it refuses.
_NAMES = {
    "timeout_seconds": "--timeout",
    "socket_path": "--socket",
    "sandbox_id": "the id of the sandbox",
    "exec_id": "the id of the command",
    "image": "the image",
    "cwd": "--cwd",
    "config_yaml": "--config",
    "input": "-i",
    **dict.fromkeys(("labels", "label_selector"), "--label"),
    **dict.fromkeys(("envs", "env_overrides"), "--env"),
}


def _option(found: re.Match[str]) -> str:
    name, key = found.groups()
    return f"{_NAMES[name]} {key}" if key else _NAMES[name]


# Advice of the SDK is for programs. A pattern has an anchor where a message could quote its text.
_WORDS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"(?:\. [^.]*, or|:) increase timeout_seconds(?: or \w+)?$"),
        ". Increase --timeout",
    ),
    (re.compile(r": increase cleanup_timeout_seconds, or(?= stop or delete its sandbox$)"), ":"),
    (
        re.compile(r" \(the clean-up did not end within cleanup_timeout_seconds\)(?:: .*)?$"),
        " (the clean-up took too long)",
    ),
    (re.compile(r"^image is required: .*$"), "the image must not be empty"),
    (re.compile(rf"^({'|'.join(_NAMES)})\b(?:\['(.+?)'\]| key)?(?=[ :])"), _option),
    (re.compile(r"^command\[\d+\](?= )"), "a word of the command"),
    (re.compile(r"(^|: )subscribe_sandbox_events(?= did not end within )"), r"\1the events"),
    (re.compile(rf"(^|: )(?:{_CALLS})(?= did not end within )"), r"\1the request"),
    (re.compile(rf"(^|: )(?:{_CALLS}): "), r"\1"),
    (
        re.compile(r"\(an exec requires READY: check the state with get_sandbox\)$"),
        "(a command requires READY: see agents-sandbox show)",
    ),
    (re.compile(r": delete it with delete_sandbox$"), ": delete it with agents-sandbox rm"),
    (re.compile(r": check with get_exec$"), ": see agents-sandbox show"),
    (re.compile(r": end it with cancel_exec\(kill=True\)$"), ": stop or delete its sandbox"),
    (re.compile(r" with label_selector$"), " with --label"),
    (re.compile(r"\bsocket_path=(?=\)?$)"), "--socket"),
    (re.compile(r"^KeyboardInterrupt(?= interrupted the clean-up)"), "Ctrl-C"),
    (re.compile(r"^SystemExit(?= interrupted the clean-up)"), "SIGTERM or SIGHUP"),
)
_DELETE_IT = ". Delete it and create another one"


def said(error: BaseException) -> str:
    """Return the message of an error or interruption, for people at a shell."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by Ctrl-C"
    if isinstance(error, SystemExit):
        return f"ended by {signal.Signals(int(str(error.code)) - SIGNALLED).name}"
    if isinstance(error, OSError) and not isinstance(error, SandboxClientError):
        what = error.strerror or str(error)
        return f"{error.filename}: {what}" if error.filename else f"input or output failed: {what}"
    return in_shell_words(str(error))


def in_shell_words(text: str) -> str:
    """Return a text of the SDK with the names of the program's options."""
    for python, shell in _WORDS:
        text = python.sub(shell, text)
    return text


@contextmanager
def without_advice_to_delete() -> Iterator[None]:
    """Leave that advice out of errors, for a sandbox that the program deletes itself."""
    try:
        yield
    except SandboxFailedError as error:
        error.args = (str(error).removesuffix(_DELETE_IT),)
        raise
