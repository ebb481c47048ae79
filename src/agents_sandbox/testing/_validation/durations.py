"""Go durations: nanoseconds in 64 bits."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from ..._shared.go_durations import parse_nanoseconds

_MAX = (1 << 63) - 1


def parse_duration(text: str) -> Duration:
    """Read a duration such as `1h30m`, `500ms` or `-1.5s`; a plain `0` needs no unit.

    Raises:
        ValueError: The text is not a duration; the message is Go's.
    """
    try:
        nanoseconds = int(parse_nanoseconds(text))
    except OverflowError:
        nanoseconds = _MAX + 1
    if abs(nanoseconds) > _MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    duration = Duration()
    duration.FromNanoseconds(nanoseconds)
    return duration
