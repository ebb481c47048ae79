"""A sandbox's life as SVG."""

from __future__ import annotations

from collections.abc import Iterator

from .._enums import SandboxState
from .._shared.markup import escaped
from .life import CANCELLED, FAILED, FINISHED, RUNNING, UNKNOWN, Exec, Life, Segment
from .times import duration, marks
from .words import counted, heading, lines, others, overview, tally, totals

WIDTH = 800
"""The width of the picture, in pixels."""

_PAD = 16
_NAMES = 150  # the column of names
_ENDS = 176  # the column that says how each exec ended
_LEFT = _PAD + _NAMES
_RIGHT = WIDTH - _PAD - _ENDS
_ROW = 22
_BAR = 12
_BAND = 22
_SHORTEST = 3.0
# What had not ended at the last event goes on to the right of it.
_OPEN = 0.05
# At the size of the text, on average.
_CHARACTER, _WIDE_CHARACTER = 6.6, 8.5

_KIND = "agents-sandbox-timeline"

# Class: the property, its colour in light and in dark. A page that has several pictures, or dark
# paper that the system does not know of, does not matter: each picture has its own paper.
_COLOURS = {
    "paper": ("fill", "#ffffff", "#161b22"),
    "ink": ("fill", "#1f2328", "#e6edf3"),
    "faint": ("fill", "#59636e", "#9198a1"),
    "grid": ("stroke", "#d8dee4", "#30363d"),
    "bad": ("fill", "#b3151d", "#ff7b72"),
    "inside": ("fill", "#ffffff", "#0d1117"),
    "pending": ("fill", "#8a5a00", "#d29922"),
    "ready": ("fill", "#1a7f37", "#3fb950"),
    "failed": ("fill", "#cf222e", "#f85149"),
    "stopped": ("fill", "#59636e", "#9198a1"),
    "deleting": ("fill", "#8250df", "#a371f7"),
    "other": ("fill", "#24292f", "#c9d1d9"),
    "bar": ("fill", "#0969da", "#58a6ff"),
    "hollow": ("stroke", "#cf222e", "#f85149"),
    "dashed": ("stroke", "#59636e", "#9198a1"),
    "gap": ("fill", "#8250df", "#a371f7"),
    "edge": ("stroke", "#8250df", "#a371f7"),
}
_SHAPES = """
.{0} text{{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
.{0} .head{{font-size:15px;font-weight:600}}
.{0} .small{{font-size:11px}}
.{0} .hollow,.{0} .dashed{{fill:none;stroke-width:1.5}}
.{0} .dashed,.{0} .edge{{stroke-dasharray:3 2}}
.{0} .gap{{fill-opacity:.22}}
"""

_STATES = {
    SandboxState.PENDING.name: "pending",
    SandboxState.READY.name: "ready",
    SandboxState.FAILED.name: "failed",
    SandboxState.STOPPED.name: "stopped",
    SandboxState.DELETING.name: "deleting",
}
_SIGNS = {FINISHED: "✓", FAILED: "✗", CANCELLED: "⊘", RUNNING: "▸", UNKNOWN: "?"}
_FILLS = {FINISHED: "bar", FAILED: "hollow", CANCELLED: "dashed", RUNNING: "bar", UNKNOWN: "dashed"}


def draw(life: Life) -> str:
    """Draw a life. The picture refers to nothing outside of it."""
    return _Drawing(life).svg()


class _Drawing:
    """One picture, drawn from the top down."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._timed = life.begin is not None
        going_on = life.going_on or RUNNING in life.outcomes
        self._axis = (life.length or 1.0) * (1 + _OPEN if going_on else 1)
        self._parts: list[str] = []
        self._y = _PAD

    def svg(self) -> str:
        life = self._life
        self._head()
        if life.events:
            above = self._y
            self._states()
            top = self._y
            for one in life.execs:
                self._exec(one)
            if life.others:
                self._other_execs()
            for name, segments in life.services:
                self._service(name, segments)
            if life.other_services:
                self._name(f"{counted(life.other_services, 'more service')}", "faint")
                self._y += _ROW
            # Behind the rest.
            self._parts[1:1] = [*self._grid(top), *self._restarts(above)]
            self._marks()
        height = self._y + _PAD
        paper = f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{_KIND}" role="img" '
            f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
            f"<title>{escaped(heading(life))}</title>"
            f"<desc>{'. '.join(map(escaped, lines(life)))}</desc>"
            f"<style>{_style()}</style>{paper}{''.join(self._parts)}</svg>\n"
        )

    def _x(self, time: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * time / self._axis

    def _head(self) -> None:
        life = self._life
        name = f"Sandbox {life.sandbox_id}" if life.events else "No events"
        self._y += 12
        head = _text(_PAD, self._y, _clipped(name, 80), "head ink")
        self._y += 18
        text = _text(_PAD, self._y, overview(life), "faint")
        # One part, so that what belongs behind the rest has a place to go.
        self._parts.append(head + text)
        if life.failure:
            self._y += 18
            failure = f"✗ {life.failure}"
            text = _text(_PAD, self._y, _clipped(failure, 110), "bad")
            self._parts.append(f"<g><title>{escaped(failure)}</title>{text}</g>")
        self._y += 14

    def _states(self) -> None:
        self._name("state", "faint", _BAND)
        for segment in self._life.states:
            kind = _STATES.get(segment.label, "other")
            self._segment(segment, kind, _BAND)
            width = self._width(segment)
            if width > len(segment.label) * _WIDE_CHARACTER + 10:
                middle = self._x(segment.begin) + width / 2
                self._parts.append(
                    f'<text class="inside" text-anchor="middle" x="{middle:.1f}" '
                    f'y="{self._y + 15}">{escaped(segment.label)}</text>'
                )
        self._y += _BAND + 8
        x = float(_LEFT)
        for label, seconds in totals(self._life).items():
            text = f"{label} {duration(seconds)}" if self._timed and seconds else label
            width = len(text) * _CHARACTER + 32
            if x + width > WIDTH - _PAD and x > _LEFT:
                x, self._y = float(_LEFT), self._y + 18
            kind = _STATES.get(label, "other")
            self._parts.append(_rect(kind, x, self._y + 2, 10, 10))
            self._parts.append(_text(x + 15, self._y + 11, text, "ink"))
            x += width
        self._y += 24

    def _exec(self, one: Exec) -> None:
        took = f", {duration(one.end - one.begin)}" if self._timed else ""
        told = f"{one.name}: {one.text}{took}" + (f" ({one.note})" if one.note else "")
        self._parts.append(f"<g><title>{escaped(told)}</title>")
        self._name(one.name, "ink")
        bar = Segment(one.begin, one.end, one.outcome, is_open=one.outcome == RUNNING)
        self._parts.append(self._bar(_FILLS[one.outcome], bar, _BAR))
        # There is room for one of them.
        ended = one.text if one.code else f"{one.text}{took}"
        self._ended(f"{_SIGNS[one.outcome]} {ended}", one.outcome == FAILED)
        self._parts.append("</g>")
        self._y += _ROW

    def _other_execs(self) -> None:
        life = self._life
        self._name(others(life), "faint")
        width, most = (_RIGHT - _LEFT) / len(life.others), max(life.others)
        scale = life.length / self._axis
        for column, number in enumerate(life.others):
            height = (_ROW - 4) * number / most
            if number:
                x = _LEFT + column * width * scale
                y = self._y + _ROW - 3 - height
                self._parts.append(_rect("bar", x, y, max(width * scale - 1, 1), height))
        self._ended(tally(life.others_outcomes), failed=False)
        self._y += _ROW

    def _service(self, name: str, segments: list[Segment]) -> None:
        self._name(name, "ink")
        for segment in segments:
            self._segment(segment, "hollow" if segment.label == FAILED else "ready", 6)
        last = segments[-1]
        failed = last.label == FAILED
        code = last.note.partition(":")[0]
        self._ended(f"✗ {code or 'service failed'}" if failed else f"service {last.label}", failed)
        self._y += _ROW

    def _ended(self, text: str, failed: bool) -> None:
        # Nobody knows how wide a text is: what does not fit is cut off.
        inside = _text(0, 13, text, "bad" if failed else "ink")
        self._parts.append(
            f'<svg x="{_RIGHT + 12}" y="{self._y}" width="{_ENDS - 12}" height="{_ROW}">{inside}'
            "</svg>"
        )

    def _segment(self, segment: Segment, kind: str, height: int) -> None:
        took = f" for {duration(segment.end - segment.begin)}" if self._timed else ""
        told = f"{segment.label}{took}" + (f" ({segment.note})" if segment.note else "")
        bar = self._bar(kind, segment, height)
        self._parts.append(f"<g><title>{escaped(told)}</title>{bar}</g>")

    def _bar(self, kind: str, segment: Segment, height: int) -> str:
        y = self._y + (0 if height == _BAND else (_ROW - 4 - height) / 2)
        # It stays inside the plot, even if it is at its end and as short as can be seen.
        width = max(self._width(segment), _SHORTEST)
        x = min(self._x(segment.begin), _RIGHT - width)
        return _rect(kind, x, y, width, height)

    def _width(self, segment: Segment) -> float:
        end = self._axis if segment.is_open else segment.end
        return self._x(end) - self._x(segment.begin)

    def _name(self, name: str, style: str, height: int = _ROW - 4) -> None:
        inside = _text(0, height / 2 + 4, _clipped(name, 19), style)
        self._parts.append(
            f'<svg x="{_PAD}" y="{self._y}" width="{_NAMES - 6}" height="{height}">{inside}</svg>'
        )

    def _grid(self, top: float) -> Iterator[str]:
        for time in self._marked():
            x = self._x(time)
            yield (f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{self._y + 4}"/>')

    def _restarts(self, top: float) -> Iterator[str]:
        for restart in self._life.restarts:
            begin, end = self._x(restart.begin), self._x(restart.end)
            yield (
                "<g><title>the daemon restarted in this time</title>"
                f"{_rect('gap', begin, top, max(end - begin, _SHORTEST), self._y - top)}"
                f'<line class="edge" x1="{end:.1f}" y1="{top}" x2="{end:.1f}" y2="{self._y}"/></g>'
            )

    def _marked(self) -> list[float]:
        return marks(self._life.length) if self._timed else []

    def _marks(self) -> None:
        self._y += 18
        for time in self._marked():
            self._parts.append(
                f'<text class="faint small" text-anchor="middle" x="{self._x(time):.1f}" '
                f'y="{self._y}">{duration(time)}</text>'
            )
        if self._life.all_restarts:
            number = self._life.all_restarts
            times = f" {number} times" if number > 1 else ""
            self._parts.append(_rect("gap", _RIGHT + 12, self._y - 10, 12, 12))
            self._parts.append(
                _text(_RIGHT + 29, self._y, f"the daemon restarted{times}", "ink small")
            )


def _style() -> str:
    light, dark = (
        "".join(f".{_KIND} .{name}{{{rule[0]}:{rule[shade]}}}" for name, rule in _COLOURS.items())
        for shade in (1, 2)
    )
    shapes = _SHAPES.format(_KIND).replace("\n", "")
    return f"{light}{shapes}@media (prefers-color-scheme:dark){{{dark}}}"


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="2"/>'
    )


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escaped(text)}</text>'


def _clipped(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
