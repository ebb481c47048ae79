"""HTML tables for notebooks, and text that is safe in HTML and XML; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_TABLE = "border-collapse:collapse;margin:0"
_CELL = "text-align:left;vertical-align:top;padding:0.15em 0.8em 0.15em 0;border:0"
# A long id or path may be broken anywhere, but a short word stays in one piece.
_VALUE = f"{_CELL};overflow-wrap:anywhere;min-width:4em"
# Each object has one line, so that they can be compared.
_ROW = f"{_CELL};white-space:nowrap"


def printable(text: str) -> str:
    """Replace what is no visible character: control characters, and those that turn text around.

    XML does not allow some of them, and terminals obey others.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def escaped(text: str) -> str:
    """Return a text for HTML and XML, also as the value of an attribute."""
    return escape(printable(text))


def fields_table(kind: str, fields: Iterable[tuple[str, str]]) -> str:
    """Render an object as a table of its fields, given as text."""
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL}">{escaped(name)}</th>{_cell(value, _VALUE)}</tr>'
        for name, value in fields
    )
    return _table(kind, rows)


def rows_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render rows of text under a header."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escaped(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(_cell(text, _ROW) for text in row)}</tr>" for row in rows)
    return _table(caption, f"<tr>{head}</tr>{body}")


def _cell(text: str, style: str) -> str:
    return f'<td style="{style}">{escaped(text)}</td>'


def _table(caption: str, rows: str) -> str:
    # Colours are those of the page, in light and dark; a narrow page scrolls.
    return (
        f'<div style="overflow-x:auto"><table style="{_TABLE}">'
        f'<caption style="text-align:left;font-weight:bold;caption-side:top">{escaped(caption)}'
        f"</caption><tbody>{rows}</tbody></table></div>"
    )
