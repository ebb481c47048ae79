"""What happened, as the client reports it."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from .._shared.shown import escaped, shown_id
from .._surroundings import clock
from . import recording
from .log import CALLS, CLEANUP, CONNECTION
from .recording import Metadata

if TYPE_CHECKING:
    from typing_extensions import Self


class Attempt:
    """One attempt to make an RPC; a context manager that reports how it ends.

    Args:
        call: The name of the RPC.
        request: The request; only its ids are read.
    """

    __slots__ = ("_began", "_what", "metadata")

    def __init__(self, call: str, request: object) -> None:
        recorder = recording.recorder
        self.metadata: Metadata = () if recorder is None else recorder.attempt(request)
        """What the request carries beside its message."""
        self._what = f"{call}{_ids(request)}"
        self._began = clock.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        self.end("OK" if error is None else _kind(error))

    def end(self, outcome: str) -> None:
        """Report the outcome."""
        milliseconds = (clock.monotonic() - self._began) * 1000
        CALLS.debug("%s: %s after %.1f ms", self._what, outcome, milliseconds)


class _Unheard(nullcontext[None]):
    """An attempt to which nobody listens."""

    metadata: Metadata = ()

    def end(self, outcome: str) -> None:
        """Report nothing."""


UNHEARD = _Unheard()
AnyAttempt: TypeAlias = Attempt | _Unheard


def attempt(call: str, request: object) -> AnyAttempt:
    """Begin an attempt, as `Attempt` describes it."""
    listened = recording.recorder is not None or CALLS.isEnabledFor(logging.DEBUG)
    return Attempt(call, request) if listened else UNHEARD


class Outage:
    """An outage of the daemon as one call or stream sees it: a context manager around its retries.

    Args:
        what: What it concerns, e.g. `events of sandbox box-1`.
    """

    __slots__ = ("_began", "_cause", "_recorded", "_recovered", "_retries", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._cause = ""
        self._retries = 0
        self._recovered = False
        self._began = clock.monotonic()
        recorder = recording.recorder
        self._recorded = None if recorder is None else recorder.outage(what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        if self._recorded is not None:
            self._recorded.end(self._recovered)
        if not self._recovered:
            outcome = "closed" if error is None else _kind(error)
            if isinstance(error, TimeoutError):
                outcome = "time limit"
            CONNECTION.info("%s: %s after %s", self._what, outcome, self._lasted())

    def pause(self, error: BaseException, seconds: float) -> None:
        """Report a retry that follows; at INFO if it is the first, or if it has a new cause."""
        self._retries += 1
        cause, before = _cause(error), self._cause
        self._cause = cause
        if self._recorded is not None:
            self._recorded.retry(cause, seconds)
        level = logging.DEBUG if cause == before else logging.INFO
        message = "%s: %s. Retry %d in %.2f s"
        CONNECTION.log(level, message, self._what, cause, self._retries, seconds)

    def end(self) -> None:
        """Report that the daemon answers again."""
        self._recovered = True
        CONNECTION.info("%s: the daemon answers again after %s", self._what, self._lasted())

    def _lasted(self) -> str:
        retries = "1 retry" if self._retries == 1 else f"{self._retries} retries"
        return f"{clock.monotonic() - self._began:.2f} s and {retries}"


def subject(call: str, error: BaseException) -> str:
    """Return which call has failed."""
    exec_id, sandbox_id = getattr(error, "exec_id", None), getattr(error, "sandbox_id", None)
    if exec_id:
        return f"{call} of exec {shown_id(exec_id)}"
    return f"{call} of sandbox {shown_id(sandbox_id)}" if sandbox_id else call


def stream_ended(what: str, position: int, seconds: float) -> None:
    """Report that the daemon ended an event stream, which resumes after a pause."""
    message = "%s: the daemon ended the stream after event %d. It resumes in %.2f s"
    CONNECTION.info(message, what, position, seconds)
    _count_resumed_stream()


def stream_resumes(what: str, position: int) -> None:
    """Report that an event stream resumes after an outage."""
    CONNECTION.info("%s: the stream resumes after event %d", what, position)
    _count_resumed_stream()


def _count_resumed_stream() -> None:
    recorder = recording.recorder
    if recorder is not None:
        recorder.stream_resumed()


def sent_again(call: str, own_id: str, attempt: int) -> None:
    """Report another attempt, which has reached the daemon, of what cannot take effect twice."""
    CONNECTION.info("%s of %s was sent again, attempt %d", call, shown_id(own_id), attempt)


def no_exit_code(exec_id: str, state: str) -> None:
    """Report a command that was cancelled, was not started, or was lost with its daemon."""
    CALLS.info("exec %s has ended without an exit code: %s", shown_id(exec_id), state)


def read_back(call: str, own_id: str) -> None:
    """Report that an earlier attempt has succeeded, whose answer was lost."""
    CONNECTION.info("%s of %s: an earlier attempt has succeeded", call, shown_id(own_id))


def id_renewed(call: str, burnt: str, fresh: str) -> None:
    """Report that an id was taken by a request that a crash of the daemon has lost."""
    message = "%s of %s: a crash of the daemon has lost it. It is sent again with the id %s"
    CONNECTION.info(message, call, shown_id(burnt), shown_id(fresh))


def stopped_again(sandbox_id: str) -> None:
    """Report that a restart of the daemon lost a stop."""
    message = "stop of sandbox %s: a restart of the daemon has lost it. It is sent again"
    CONNECTION.info(message, shown_id(sandbox_id))


def release_changed(before: object, now: object) -> None:
    """Report that another release of the daemon answers."""
    CONNECTION.info("the daemon is %s now; it was %s", now, before)


def newer_daemon(version: str, newest: object) -> None:
    """Warn of a daemon that is newer than the SDK."""
    message = "daemon %s is newer than this SDK, which treats it like %s: upgrade the SDK"
    CONNECTION.warning(message, shown_id(version), newest)


def deleted_again(sandbox_id: str) -> None:
    """Report that a sandbox came back, or that a restart of the daemon lost its delete."""
    message = "sandbox %s is deleted again: it came back, or a restart has lost the delete"
    CLEANUP.info(message, shown_id(sandbox_id))


def not_ours(sandbox_id: str) -> None:
    """Report that the end of a block leaves a sandbox that somebody else has made."""
    CLEANUP.info("sandbox %s stays: this block did not create it", shown_id(sandbox_id))


def delete_failed(sandbox_id: str, error: BaseException, seconds: float) -> None:
    """Report a delete at the end of a block that is tried again."""
    message = "delete of sandbox %s failed: %s. It is tried again in %.2f s"
    CLEANUP.info(message, shown_id(sandbox_id), _cause(error), seconds)


def clean_up_failed(what: str, error: BaseException) -> None:
    """Report a part of a clean-up that failed."""
    CLEANUP.info("%s: %s", what, _cause(error))


def leftover(left: str, error: BaseException) -> None:
    """Warn of what a clean-up leaves behind."""
    CLEANUP.warning("%s: %s", escaped(left), _cause(error))


def _ids(request: object) -> str:
    return "".join(
        f" {name}={shown_id(value)}"
        for name in ("sandbox_id", "exec_id")
        if (value := getattr(request, name, ""))
    )


# Never its message: the daemon may quote a command or a configuration there.
def _cause(error: BaseException) -> str:
    trouble = getattr(error, "_trouble", None)
    return _kind(error) if trouble is None else f"{_kind(error)}: {escaped(trouble)}"


def _kind(error: BaseException) -> str:
    code, reason = getattr(error, "code", None), getattr(error, "reason", None)
    return " ".join(filter(None, (type(error).__name__, code, reason and shown_id(reason))))
