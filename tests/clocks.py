"""Mocks the date as users do: for `test_mocked_clocks`, in both flavours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias
from unittest import mock

import pytest
import time_machine
from freezegun import freeze_time

PAST, FUTURE = "2001-01-01", "2101-01-01"

Mock: TypeAlias = Callable[[], AbstractContextManager[Any]]


def _frozen(date: str, **options: Any) -> Mock:
    # Otherwise the timers of asyncio stand still.
    return lambda: freeze_time(date, real_asyncio=True, **options)


MOCKS: dict[str, Mock] = {
    "freezegun-past": _frozen(PAST),
    "freezegun-future": _frozen(FUTURE),
    "freezegun-ticking": _frozen(FUTURE, tick=True),
    "freezegun-ignores-us": _frozen(PAST, ignore=["agents_sandbox"]),
    "freezegun-ignores-grpc": _frozen(FUTURE, ignore=["grpc"]),
    "time-machine-past": lambda: time_machine.travel(PAST, tick=False),
    "time-machine-future": lambda: time_machine.travel(FUTURE),
    "unittest-mock": lambda: mock.patch("time.time", return_value=0.0),
}

each_mock = pytest.mark.parametrize(
    "mocked", [pytest.param(MOCKS[name], id=name) for name in MOCKS]
)
