"""How one stream of answers ends: by the daemon, by us, at its deadline."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from agents_sandbox import DaemonUnavailableError, OperationTimeoutError
from agents_sandbox._sync_generated._transport import ResponseStream


class Ended:
    """A call that has ended cleanly."""

    def read(self) -> None:
        pass

    def cancel(self) -> None:
        pass


def ended_at_its_deadline() -> ResponseStream[bytes]:
    call: Any = Ended()
    return ResponseStream(call, nullcontext, bytes, lambda: OperationTimeoutError("too late"))


def test_an_end_at_the_deadline_is_a_timeout() -> None:
    with pytest.raises(OperationTimeoutError, match="too late"):
        ended_at_its_deadline().read()


def test_an_end_by_us_is_none() -> None:
    stream = ended_at_its_deadline()
    stream.cancel()
    assert stream.read() is None


def test_each_read_of_an_abandoned_stream_raises_an_error_of_its_own() -> None:
    stream, loss = ended_at_its_deadline(), DaemonUnavailableError("gone")
    stream.abandon(loss)
    raised = []
    for _ in range(2):
        with pytest.raises(DaemonUnavailableError, match="gone") as caught:
            stream.read()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert [error.__cause__ for error in raised] == [loss, loss]
    assert loss.__traceback__ is None
