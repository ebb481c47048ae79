"""Tracebacks that users can read: their own lines, one of ours, and the message."""

from __future__ import annotations

from .errors import SandboxClientError


def trimmed(error: SandboxClientError, context: BaseException | None) -> SandboxClientError:
    """Drop from an error what only this SDK understands, and return it.

    These are our frames, the errors that we handled on the way, and the causes of its cause. What
    they report is in the message and in the attributes.

    Args:
        error: The error.
        context: What the caller handles at the moment.
    """
    cause = error.__cause__
    if cause is not None:
        cause.__traceback__ = cause.__context__ = cause.__cause__ = None
    error.__traceback__ = None
    error.__context__, error.__suppress_context__ = context, cause is not None
    return error
