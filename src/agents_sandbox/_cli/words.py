"""What the program says of an error: the SDK's message, with the options of the shell; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from .. import SandboxClientError, SandboxFailedError

# Advice of the SDK is for programs. Each pattern has an anchor: a message can quote anything.
_WORDS = (
    (
        re.compile(r"(?:\. [^.]*, or|:) increase timeout_seconds(?: or \w+)?$"),
        ". Increase --timeout",
    ),
    (re.compile(r"^timeout_seconds\b"), "--timeout"),
    (re.compile(r"^socket_path\b"), "--socket"),
    (re.compile(r"\bsocket_path=(?=\)?$)"), "--socket"),
)
_DELETE_IT = ". Delete it and create another one"


def said(error: Exception) -> str:
    """Return the message of an error, for people at a shell."""
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
