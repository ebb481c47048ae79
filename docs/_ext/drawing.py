"""Draws pictures from text, as SVG in the colours of the text around it; pure.

Boxes stand in a grid, and arrows connect them:

    | PENDING | READY  | STOPPED       |
    |         | FAILED | (other state) |

    PENDING -> READY: containers run
    STOPPED ~> PENDING: resume

A name in parentheses has no border; `~>` is an arrow that passes above the boxes between.

Or two sides exchange messages, from top to bottom; a note has no arrow, and a line across begins
with dashes:

    client | daemon

    client -> daemon: CreateSandbox
    client: remembers event 1
    --- the connection breaks
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import NamedTuple

# In pixels. The font is monospaced, so that the width of a text is known.
CHAR = 7.3
BOX_HEIGHT = 34
PADDING = 14
GAP = 46
ROW_GAP = 52
MARGIN = 12
STEP = 32

ARROW = re.compile(r"(?P<start>.+?) (?P<kind>->|~>) (?P<end>[^:]+?)(?:: (?P<label>.+))?")
NOTE = re.compile(r"(?P<side>[^:]+): (?P<text>.+)")
BREAK = re.compile(r"-{3,} (?P<text>.+)")


class Point(NamedTuple):
    """A place in a picture."""

    x: float
    y: float


class Box(NamedTuple):
    """A name with its place."""

    name: str
    center: Point
    width: float

    def border_towards(self, other: Point) -> Point:
        """Return where a straight line from the center to another place leaves the box."""
        dx, dy = other.x - self.center.x, other.y - self.center.y
        half_width, half_height = self.width / 2, BOX_HEIGHT / 2
        scale = min(
            half_width / abs(dx) if dx else math.inf, half_height / abs(dy) if dy else math.inf
        )
        return Point(self.center.x + dx * scale, self.center.y + dy * scale)


def draw(text: str, description: str) -> str:
    """Draw a picture.

    Args:
        text: The picture as text.
        description: What it shows, for those who cannot see it.

    Raises:
        ValueError: A line of the text cannot be read.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("the picture is empty")
    draws = _draw_boxes if lines[0].startswith("|") else _draw_messages
    width, height, shapes = draws(lines)
    return (
        f'<svg class="picture" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="{escape(description)}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">{"".join(shapes)}</svg>'
    )


def _draw_boxes(lines: list[str]) -> tuple[float, float, list[str]]:
    rows = [_cells(line) for line in lines if line.startswith("|")]
    arrows = [_arrow(line) for line in lines if not line.startswith("|")]
    places = {
        name: (column, row)
        for row, cells in enumerate(rows)
        for column, name in enumerate(cells)
        if name
    }
    for arrow in arrows:
        for name in (arrow["start"], arrow["end"]):
            if name not in places:
                raise ValueError(f"there is no box named {name!r}")
    above = GAP if any(arrow["kind"] == "~>" for arrow in arrows) else 0
    boxes, width = _placed(rows, places, arrows, MARGIN + above)
    height = 2 * MARGIN + above + len(rows) * BOX_HEIGHT + (len(rows) - 1) * ROW_GAP
    pairs = {(arrow["start"], arrow["end"]) for arrow in arrows}
    shapes = [
        shape
        for arrow in arrows
        for shape in _connection(boxes, arrow, both=(arrow["end"], arrow["start"]) in pairs)
    ]
    return width, height, [*shapes, *(shape for box in boxes.values() for shape in _box(box))]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _arrow(line: str) -> Mapping[str, str]:
    match = ARROW.fullmatch(line)
    if match is None:
        raise ValueError(f"this is no arrow: {line!r}")
    return match.groupdict(default="")


def _placed(
    rows: list[list[str]],
    places: Mapping[str, tuple[int, int]],
    arrows: Iterable[Mapping[str, str]],
    top: float,
) -> tuple[dict[str, Box], float]:
    """Return the boxes by name, and the width of all columns."""
    columns = max(map(len, rows))
    widths = [0.0] * columns
    for name, (column, _) in places.items():
        widths[column] = max(widths[column], len(name) * CHAR + 2 * PADDING)
    gaps = [float(GAP)] * columns
    for arrow in arrows:
        (first, row), (second, other) = places[arrow["start"]], places[arrow["end"]]
        if row == other and abs(first - second) == 1:
            left = min(first, second)
            gaps[left] = max(gaps[left], len(arrow["label"]) * CHAR + 2 * PADDING)
        elif first == second and first == columns - 1:  # its label is beside the last column
            gaps[first] = max(gaps[first], len(arrow["label"]) * CHAR - widths[first] / 2 + PADDING)
    gaps[-1] = max(gaps[-1] - GAP, 0)
    lefts = [MARGIN + sum(widths[:column]) + sum(gaps[:column]) for column in range(columns)]
    boxes = {
        name: Box(
            name,
            Point(
                lefts[column] + widths[column] / 2,
                top + row * (BOX_HEIGHT + ROW_GAP) + BOX_HEIGHT / 2,
            ),
            len(name) * CHAR + 2 * PADDING,
        )
        for name, (column, row) in places.items()
    }
    return boxes, lefts[-1] + widths[-1] + gaps[-1] + MARGIN


def _box(box: Box) -> Iterator[str]:
    bare = box.name.startswith("(")
    if not bare:
        yield (
            f'<rect x="{box.center.x - box.width / 2:.1f}" y="{box.center.y - BOX_HEIGHT / 2:.1f}" '
            f'width="{box.width:.1f}" height="{BOX_HEIGHT}" rx="6"/>'
        )
    yield _text(box.center._replace(y=box.center.y + 4.5), box.name.strip("()"))


def _connection(boxes: Mapping[str, Box], arrow: Mapping[str, str], *, both: bool) -> Iterator[str]:
    start, end = boxes[arrow["start"]], boxes[arrow["end"]]
    if arrow["kind"] == "~>":
        yield from _arc(start, end, arrow["label"])
        return
    first, last = start.border_towards(end.center), end.border_towards(start.center)
    length = math.dist(first, last)
    # The normal of the line, to its left: it separates an arrow from the one back.
    normal = Point((last.y - first.y) / length, (first.x - last.x) / length)
    if both:
        first, last = (
            Point(point.x + 7 * normal.x, point.y + 7 * normal.y) for point in (first, last)
        )
    yield from _line(first, last)
    if arrow["label"]:
        middle = Point((first.x + last.x) / 2, (first.y + last.y) / 2)
        if abs(normal.y) > abs(normal.x):  # rather horizontal: beyond the line
            below = both and normal.y > 0
            yield _text(middle._replace(y=middle.y + (16 if below else -7)), arrow["label"])
        else:
            place = Point(middle.x + 8, middle.y + 4.5)
            yield _text(place, arrow["label"], anchor="start")


def _arc(start: Box, end: Box, label: str) -> Iterator[str]:
    first = start.center._replace(y=start.center.y - BOX_HEIGHT / 2)
    last = end.center._replace(y=end.center.y - BOX_HEIGHT / 2)
    top = first.y - GAP
    yield (
        f'<path d="M{first.x:.1f},{first.y:.1f} C{first.x:.1f},{top:.1f} '
        f'{last.x:.1f},{top:.1f} {last.x:.1f},{last.y:.1f}"/>'
    )
    yield _head(last, Point(0, 1))
    yield _text(Point((first.x + last.x) / 2, first.y - GAP * 3 / 4 - 6), label)


def _line(first: Point, last: Point) -> Iterator[str]:
    length = math.dist(first, last)
    direction = Point((last.x - first.x) / length, (last.y - first.y) / length)
    yield f'<path d="M{first.x:.1f},{first.y:.1f} L{last.x:.1f},{last.y:.1f}"/>'
    yield _head(last, direction)


def _head(tip: Point, direction: Point) -> str:
    base = Point(tip.x - 9 * direction.x, tip.y - 9 * direction.y)
    left = Point(base.x - 4 * direction.y, base.y + 4 * direction.x)
    right = Point(base.x + 4 * direction.y, base.y - 4 * direction.x)
    corners = " ".join(f"{corner.x:.1f},{corner.y:.1f}" for corner in (tip, left, right))
    return f'<polygon points="{corners}"/>'


def _text(place: Point, text: str, anchor: str = "middle") -> str:
    return f'<text x="{place.x:.1f}" y="{place.y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _draw_messages(lines: list[str]) -> tuple[float, float, list[str]]:
    left, right = (name.strip() for name in lines[0].split("|"))
    longest = max(map(len, lines[1:]), default=0)
    side = (max(len(left), len(right)) * CHAR + 2 * PADDING) / 2
    xs = {left: MARGIN + side, right: MARGIN + side + longest * CHAR}
    width = xs[right] + side + MARGIN
    top = MARGIN + BOX_HEIGHT
    height = top + (len(lines) - 0.3) * STEP + MARGIN
    boxes = [Box(name, Point(x, MARGIN + BOX_HEIGHT / 2), 2 * side) for name, x in xs.items()]
    shapes = [
        f'<path class="life" d="M{x:.1f},{top} L{x:.1f},{height - MARGIN:.1f}"/>'
        for x in xs.values()
    ]
    shapes += [shape for box in boxes for shape in _box(box)]
    for place, line in enumerate(lines[1:], 1):
        shapes += _message(line, xs, top + place * STEP, width)
    return width, height, shapes


def _message(line: str, xs: Mapping[str, float], y: float, width: float) -> list[str]:
    if match := BREAK.fullmatch(line):
        return [
            f'<path class="break" d="M{MARGIN},{y:.1f} L{width - MARGIN:.1f},{y:.1f}"/>',
            _text(Point(width / 2, y - 6), match["text"]),
        ]
    if (match := ARROW.fullmatch(line)) and {match["start"], match["end"]} == xs.keys():
        first, last = Point(xs[match["start"]], y), Point(xs[match["end"]], y)
        return [*_line(first, last), _text(Point((first.x + last.x) / 2, y - 6), match["label"])]
    if (match := NOTE.fullmatch(line)) and match["side"] in xs:
        on_the_left = xs[match["side"]] == min(xs.values())
        place = Point(xs[match["side"]] + (10 if on_the_left else -10), y + 2)
        return [_text(place, match["text"], anchor="start" if on_the_left else "end")]
    raise ValueError(f"this is no message, note or break: {line!r}")
