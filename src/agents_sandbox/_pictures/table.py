"""Many models as one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._shared.markup import printable, rows_table
from .._shared.shown import OneLineRepr, shown, telling_fields, value_text
from ..errors import InvalidArgumentTypeError

_ROWS = 200
_CHARACTERS = 80


class Table:
    """Models as the rows of a table, which notebooks show. `str()` has it as text.

    Made by `table()`.
    """

    __module__ = "agents_sandbox"
    __slots__ = ("_caption", "_header", "_rows")

    def __init__(self, caption: str, header: list[str], rows: list[list[str]]) -> None:
        self._caption = caption
        self._header = header
        self._rows = rows

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if not self._header:
            return self._caption
        lines = [self._header, *self._rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([self._caption, *text])

    def _repr_html_(self) -> str:
        return rows_table(self._caption, self._header, self._rows)


def table(items: Iterable[object]) -> Table:
    """Make a table of models, such as the handles that `list_sandboxes` returns.

    It has a column for each attribute that one of them has set, details of events included, and
    the first 200 rows. Values of environment variables are hidden.

    Args:
        items: Handles, events or other models.

    Returns:
        The table. A notebook shows it if it is the last expression of a cell.

    Raises:
        InvalidArgumentTypeError: An item is no model.
    """
    models: list[Any] = list(items)
    for number, model in enumerate(models):
        if not isinstance(model, OneLineRepr):
            raise InvalidArgumentTypeError(
                f"items[{number}] must be a model such as a SandboxHandle, not {shown(model)}"
            )
    kinds = sorted({type(model).__name__ for model in models})
    caption = f"{len(models)} {', '.join(kinds)}" if models else "nothing"
    if len(models) > _ROWS:
        caption = f"{caption}: the first {_ROWS}"
    told = [
        {name: (place, text) for place, name, text in _cells(model)} for model in models[:_ROWS]
    ]
    # In the order of the fields, whatever the first row has set.
    places: dict[str, tuple[int, ...]] = {}
    for row in told:
        for name, (place, _) in row.items():
            places[name] = min(place, places.get(name, place))
    header = sorted(places, key=lambda name: places[name])
    rows = [[row[name][1] if name in row else "" for name in header] for row in told]
    return Table(caption, header, rows)


def _cells(model: Any) -> Iterator[tuple[tuple[int, ...], str, str]]:
    """Return the place of each attribute among the fields, its name, and its text.

    The details of an event are attributes like the others.
    """
    order = [*type(model).__dataclass_fields__]
    for name, value in telling_fields(model):
        place = (order.index(name),)
        if isinstance(value, OneLineRepr):
            yield from ((place + inner, its_name, text) for inner, its_name, text in _cells(value))
        else:
            yield place, name, printable(value_text(name, value, _CHARACTERS))
