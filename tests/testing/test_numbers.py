"""Go's numbers, durations and quoted text; Docker's sizes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox.testing._validation.durations import parse_duration
from agents_sandbox.testing._validation.sizes import ram_in_bytes
from agents_sandbox.testing._validation.strconv import parse_float, quoted

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two", '"two"'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("\n\t", r'"\n\t"'),
        ("é 世 😀", '"é 世 😀"'),
    ],
)
def test_quoting(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("+1.", 1.0), ("-.5", -0.5), ("1E-3", 0.001), ("inf", math.inf)],
)
def test_numbers(text: str, value: float) -> None:
    assert parse_float(text) == value


@pytest.mark.parametrize(
    "text", ["", "two", "1 ", " 1", "1\n", "1,5", ".", "1.2.3", "1_0", "\u0661"]
)
def test_invalid_numbers(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_float(text)
    assert str(caught.value) == f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax"


@pytest.mark.parametrize("text", ["1e309", "-1e309", "9" * 400])
def test_numbers_out_of_range(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_float(text)
    assert str(caught.value) == f'strconv.ParseFloat: parsing "{text}": value out of range'


@given(st.floats(allow_nan=False))
def test_any_number_is_read_back(value: float) -> None:
    assert parse_float(repr(value)) == value


KIB = 1024
OVERFLOW = -(1 << 63)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("32", 32),
        ("32B", 32),
        ("32 KiB", 32 * KIB),
        ("32.5kb", 33280),
        ("1 tib", KIB**4),
        ("1p", KIB**5),
        ("5 ", 5),
        ("1.", 1),
        (".3kB", 307),
        ("1e3", 1000),
        ("1e3m", 1000 * KIB**2),
        ("+5.5E1k", 55 * KIB),
        ("9223372036854774784", 9223372036854774784),
        ("9223372036854775807", OVERFLOW),  # the nearest number in floating point is one more
        ("8192p", OVERFLOW),
        ("inf ", OVERFLOW),
        ("nan ", OVERFLOW),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert ram_in_bytes(text) == size


def no_number(text: str) -> str:
    return f'strconv.ParseFloat: parsing "{text}": invalid syntax'


# Source: parseSize() of github.com/docker/go-units 0.5.
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lots", "invalid size: 'lots'"),
        ("", "invalid size: ''"),
        ("inf", "invalid size: 'inf'"),
        ("-32", "invalid size: '-32'"),
        (" 32", no_number(" 32")),
        (".", no_number(".")),
        ("32  b", no_number("32 ")),
        ("1e400", 'strconv.ParseFloat: parsing "1e400": value out of range'),
        ("32x", "invalid suffix: 'x'"),
        ("32KK", "invalid suffix: 'kk'"),
        ("32KiBs", "invalid suffix: 'KiBs'"),
        ("1 ib", "invalid suffix: 'ib'"),
        ("1e", "invalid suffix: 'e'"),
        ("1\n", "invalid suffix: '\n'"),
    ],
)
def test_invalid_sizes(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ram_in_bytes(text)
    assert str(caught.value) == message


@given(
    st.integers(0, 1 << 20),
    st.sampled_from(["", "k", "m", "g"]),
    st.sampled_from(["", "b", "ib"]),
    st.sampled_from(["", " "]),
    st.booleans(),
)
def test_spelling_of_a_size_does_not_matter(
    number: int, prefix: str, suffix: str, space: str, upper: bool
) -> None:
    unit = prefix + (suffix if prefix else suffix.removeprefix("i"))
    text = f"{number}{space}{unit.upper() if upper else unit}"
    assert ram_in_bytes(text) == number * KIB ** " kmg".index(prefix or " ")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5s", 5_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("-1.5s", -1_500_000_000),
        ("3us4\u00b5s5\u03bcs6ns", 12_006),
        ("7ms", 7_000_000),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text).ToNanoseconds() == nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "-", "s", "1s ", "1e3s", "9223372037s", ".", pytest.param("9" * 5000 + "s", id="absurd")],
)
def test_invalid_durations(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@given(st.integers(-(1 << 63) + 1, (1 << 63) - 1))
def test_any_duration_is_read_back(nanoseconds: int) -> None:
    sign = "-" if nanoseconds < 0 else ""
    seconds, nanos = divmod(abs(nanoseconds), 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{sign}{hours}h{minutes}m{seconds}.{nanos:09}s"
    duration = parse_duration(text)
    assert duration.seconds * 1_000_000_000 + duration.nanos == nanoseconds
