"""Durations as users write them: Go's syntax, numbers and `timedelta`."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import DurationLike, InvalidArgumentError
from agents_sandbox._arguments.durations import parse_duration, to_seconds, to_timedelta

MICROSECOND = timedelta(microseconds=1)
NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def as_go(value: timedelta) -> str:
    """Format like Go's `Duration.String`, with all zero units."""
    total = value // MICROSECOND
    minutes, micros = divmod(abs(total), 60_000_000)
    text = f"{minutes // 60}h{minutes % 60}m{micros // 1_000_000}.{micros % 1_000_000:06}s"
    return f"-{text}" if total < 0 else text


@given(st.timedeltas())
def test_what_go_prints_is_read_exactly(value: timedelta) -> None:
    assert parse_duration(as_go(value)) == value


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list(NANOSECONDS))), min_size=1))
def test_parts_add_up_in_any_order_and_number(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{1000 * number}{unit}" for number, unit in parts)
    micros = sum(number * NANOSECONDS[unit] for number, unit in parts)
    assert parse_duration(text) == micros * MICROSECOND


@given(st.text("0123456789.+-nu\u00b5\u03bcsmh _", max_size=12))
def test_any_other_text_is_refused_by_no_error_but_ours(text: str) -> None:
    with suppress(InvalidArgumentError):
        assert isinstance(parse_duration(text), timedelta)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", timedelta(0)),
        ("+0", timedelta(0)),
        ("-0", timedelta(0)),
        ("0s", timedelta(0)),
        ("5s", timedelta(seconds=5)),
        ("+5s", timedelta(seconds=5)),
        ("-5s", timedelta(seconds=-5)),
        ("-1m30s", timedelta(seconds=-90)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("5.s", timedelta(seconds=5)),
        ("0.000001s", MICROSECOND),
        ("0.001ms", MICROSECOND),
        ("1us", MICROSECOND),
        ("1\u00b5s", MICROSECOND),
        ("1\u03bcs", MICROSECOND),
        ("1000ns", MICROSECOND),
        ("999ns1ns", MICROSECOND),
        ("0.1s", timedelta(milliseconds=100)),
        ("1h1m1s1ms1us", timedelta(hours=1, minutes=1, seconds=1, milliseconds=1, microseconds=1)),
    ],
)
def test_go_syntax(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "s", ".s", "-", "+-5s", "5 s", " 5s", "5s\n", "5S", "5d", "1e3s", "1,5s"),
        *("1_0s", "soon", "\u0665s", "00", "0.0", "5s-1s", "nan", "inf"),
    ],
)
def test_what_is_not_go_syntax_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r'for example "5s" or "1m30s"'):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1ns", "1001ns", "0.0000001s", "-1.5us"])
def test_what_a_timedelta_would_round_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="finer than a microsecond"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["24000000000h", "-24000000000h", "9" * 400 + "s"])
def test_what_a_timedelta_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="too long"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(days=2), timedelta(days=2)),
        ("1m", timedelta(minutes=1)),
        (0, timedelta(0)),
        (90, timedelta(seconds=90)),
        (-1, timedelta(seconds=-1)),
        (0.25, timedelta(milliseconds=250)),
        (0.0000014, MICROSECOND),
    ],
)
def test_each_form_becomes_a_timedelta(value: DurationLike, expected: timedelta) -> None:
    assert to_timedelta("idle_ttl", value) == expected


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1e300, 10**30, True, False, None, b"5s", Decimal(1)]
)
def test_what_is_no_duration_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="idle_ttl"):
        # Type checkers refuse it too, as intended.
        to_timedelta("idle_ttl", value)  # type: ignore[arg-type]  # wrong on purpose


def test_a_refused_string_names_the_parameter_too() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^idle_ttl: invalid duration 'soon'"):
        to_timedelta("idle_ttl", "soon")


@pytest.mark.parametrize(
    "value",
    ["9" * 5000 + "s", "." + "0" * 5000 + "1s", 10**5000],
    ids=["text", "fraction", "number"],
)
def test_absurd_numbers_are_refused_too(value: DurationLike) -> None:
    with pytest.raises(InvalidArgumentError, match="idle_ttl"):
        to_timedelta("idle_ttl", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.001, 0.001),
        (1e-9, 1e-9),
        (math.inf, math.inf),
        (10**400, math.inf),
        (10**5000, math.inf),
        (timedelta(minutes=1.5), 90.0),
        (timedelta.max, timedelta.max.total_seconds()),
        ("1m30s", 90.0),
        ("250ms", 0.25),
    ],
    ids=lambda value: str(value)[:9] if not isinstance(value, int) else "int",
)
def test_a_timeout_takes_each_form_of_a_duration(value: DurationLike, expected: float) -> None:
    seconds = to_seconds("timeout_seconds", value)
    assert (seconds, type(seconds)) == (expected, float)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (0, "timeout_seconds must be above 0: 0"),
        (-1, "timeout_seconds must be above 0: -1"),
        (-0.0, "timeout_seconds must be above 0: -0.0"),
        (math.nan, "timeout_seconds must be above 0: nan"),
        (-math.inf, "timeout_seconds must be above 0: -inf"),
        ("0", "timeout_seconds must be above 0: '0'"),
        ("-5s", "timeout_seconds must be above 0: '-5s'"),
        (timedelta(0), "timeout_seconds must be above 0: datetime.timedelta(0)"),
        ("5", "timeout_seconds: invalid duration '5': write a number with its unit"),
        ("1ns", "timeout_seconds: invalid duration '1ns': finer than a microsecond"),
        (True, 'a number of seconds or a duration string such as "5s", not True'),
        (1j, 'a number of seconds or a duration string such as "5s", not 1j'),
        (None, 'a number of seconds or a duration string such as "5s", not None'),
    ],
)
def test_what_is_no_timeout_is_refused_and_shown(refused: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^timeout_seconds") as caught:
        to_seconds("timeout_seconds", refused)
    assert message in str(caught.value)


def test_a_negative_number_without_a_repr_is_refused_too() -> None:
    with pytest.raises(InvalidArgumentError, match="must be above 0: <int>"):
        to_seconds("timeout_seconds", -(10**5000))
