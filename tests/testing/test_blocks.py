"""Blocks that a test makes but never enters are no secret."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox.testing import FakeDaemon

from .raw import connected

pytestmark = pytest.mark.once

MAKERS: dict[str, Callable[[FakeDaemon], AbstractContextManager[Any]]] = {
    "failing": lambda daemon: daemon.faults.failing(),
    "half_open": lambda daemon: daemon.faults.half_open(),
    "chaos": lambda daemon: daemon.faults.chaos(7, unavailable=1.0),
    "paused": lambda daemon: daemon.paused(),
    "down": lambda daemon: daemon.down(),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_a_block_that_is_never_entered_is_an_error(
    make: Callable[[FakeDaemon], AbstractContextManager[Any]],
) -> None:
    line = inspect.getsourcelines(make)[1]
    with (
        pytest.raises(
            RuntimeError,
            match=rf"no effect: use `with`, .* at\n  .*test_blocks\.py:{line}$",
        ),
        FakeDaemon() as daemon,
        connected(daemon) as raw,
    ):
        make(daemon)
        assert raw(methods.PING).daemon == "agboxd"


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_a_block_can_be_entered_later(
    make: Callable[[FakeDaemon], AbstractContextManager[Any]],
) -> None:
    with FakeDaemon() as daemon:
        block = make(daemon)
        with block:
            pass
        with pytest.raises(RuntimeError, match="entered only once"), block:
            pass


def test_every_block_that_is_never_entered_is_named() -> None:
    daemon = FakeDaemon().start()
    daemon.faults.failing()
    daemon.faults.delaying(1)
    with pytest.raises(RuntimeError, match=r"(\n  .*test_blocks\.py:\d+){2}$"):
        daemon.stop()


def test_an_error_of_the_test_comes_first() -> None:
    with pytest.raises(ZeroDivisionError), FakeDaemon() as daemon:
        daemon.faults.failing()
        raise ZeroDivisionError
