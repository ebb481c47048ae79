"""Numbers, durations and quoted text as Go has them; sizes as Docker reads them."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox.testing._validation.durations import parse_duration
from agents_sandbox.testing._validation.sizes import ram_in_bytes
from agents_sandbox.testing._validation.strconv import parse_float, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two", '"two"'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\0\x1b\x7f", r'"\x00\x1b\x7f"'),
        ("é 世 😀", '"é 世 😀"'),
        ("\u00a0\u200b\ufeff", r'"\u00a0\u200b\ufeff"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_quoting(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("+1", 1.0),
        ("-1.5", -1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("1_23.50_0_0e+1_2", 1.235e14),
        ("0x1p-2", 0.25),
        ("0X1.8P1", 3.0),
        ("0x.8p1", 1.0),
        ("-0x_1p0", -1.0),
        ("0x_1_2.3_4_5p+1_2", 74565.0),
        ("1e-999", 0.0),
        ("0e99999", 0.0),
        ("inf", math.inf),
        ("+Infinity", math.inf),
        ("-INF", -math.inf),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert parse_float(text) == value


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(parse_float("NaN"))


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "two", "1 ", " 1", "1,5", "+", ".", "e5", "1e", "1e+", "--1", "1.2.3", "1f"),
        *("_1", "1_", "1__2", "1_.5", "1._5", "1e_5", "1_e5", "1e5_"),
        *("0x", "0x1", "0x1.8", "0xp1", "0x1p", "0x_.8p1", "0x1_p1", "0x1__0p1", "0x1p1.5"),
        *("infi", "infinit", "infinityx", "+nan", "-nan", "nanx", "\u0131nf", "\u0661"),
    ],
)
def test_no_numbers(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_float(text)
    assert str(caught.value) == f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax"


@pytest.mark.parametrize("text", ["1e309", "-1e309", "0x1p1024", "-0x1p99999"])
def test_numbers_out_of_range(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_float(text)
    assert str(caught.value) == f'strconv.ParseFloat: parsing "{text}": value out of range'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_as_it_was_written(value: float) -> None:
    assert parse_float(repr(value)) == value
    assert parse_float(value.hex()) == value


@given(st.text(alphabet="0123456789abcdefipnxABFPX_.+- ", max_size=12))
def test_whatever_is_read_python_reads_too(text: str) -> None:
    with suppress(ValueError):
        value = parse_float(text)
        plain = text.replace("_", "").lower()
        again = float.fromhex(plain) if "0x" in plain else float(plain)
        assert again == value or math.isnan(value)


KIB = 1024


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("32", 32),
        ("32b", 32),
        ("32B", 32),
        ("32k", 32 * KIB),
        ("32KB", 32 * KIB),
        ("32 KiB", 32 * KIB),
        ("32.5kb", 33280),
        ("32.5 kB", 33280),
        ("1m", KIB**2),
        ("1Gb", KIB**3),
        ("1 tib", KIB**4),
        ("1p", KIB**5),
        ("5 ", 5),
        ("1.", 1),
        (".3kB", 307),
        ("0.9", 0),
        ("1e3", 1000),
        ("1_0k", 10 * KIB),
        ("0x1p4k", 16 * KIB),
        ("-0", 0),
        ("9223372036854774784", 9223372036854774784),
        ("9223372036854775808", -(1 << 63)),
        ("1e300p", -(1 << 63)),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert ram_in_bytes(text) == size


def syntax(text: str) -> str:
    return f'strconv.ParseFloat: parsing "{text}": invalid syntax'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lots", "invalid size: 'lots'"),
        ("", "invalid size: ''"),
        ("-32", "invalid size: '-32'"),
        ("-1k", "invalid size: '-1k'"),
        (" ", syntax("")),
        (" 32", syntax(" 32")),
        ("32  b", syntax("32 ")),
        ("1 2", syntax("1 2")),
        ("k8", syntax("k8")),
        (".", syntax(".")),
        ("32.5.1k", syntax("32.5.1")),
        ("1e999", 'strconv.ParseFloat: parsing "1e999": value out of range'),
        ("32x", "invalid suffix: 'x'"),
        ("32KK", "invalid suffix: 'kk'"),
        ("32 Bi", "invalid suffix: 'bi'"),
        ("32kbi", "invalid suffix: 'kbi'"),
        ("1 ib", "invalid suffix: 'ib'"),
        ("1KiBs", "invalid suffix: 'KiBs'"),
        ("1 \u00dc", "invalid suffix: '\u00fc'"),
        ("1 \u00dc\u00dc", "invalid suffix: '\u00dc\u00dc'"),  # too long: four bytes
        ("1inf", "invalid suffix: 'inf'"),
        ("1\n", "invalid suffix: '\n'"),
    ],
)
def test_no_sizes(text: str, message: str) -> None:
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


@pytest.mark.parametrize("text", ["", "-", "s", "1s ", "1e3s", "9223372037s", "."])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@given(st.integers(-(1 << 63) + 1, (1 << 63) - 1))
def test_any_duration_is_read_as_it_was_written(nanoseconds: int) -> None:
    sign = "-" if nanoseconds < 0 else ""
    seconds, nanos = divmod(abs(nanoseconds), 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{sign}{hours}h{minutes}m{seconds}.{nanos:09}s"
    duration = parse_duration(text)
    assert duration.seconds * 1_000_000_000 + duration.nanos == nanoseconds
