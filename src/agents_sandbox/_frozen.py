"""An immutable, hashable, picklable mapping for the models.

`types.MappingProxyType` cannot be pickled or hashed, and is a view of a dict that other code can
still change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

ValueT_co = TypeVar("ValueT_co", covariant=True)


class FrozenMapping(Mapping[str, ValueT_co]):
    """An immutable copy of a mapping with string keys; equal to a dict with the same items."""

    __slots__ = ("_items",)
    _items: dict[str, ValueT_co]

    def __init__(self, items: Mapping[str, ValueT_co] | None = None) -> None:
        object.__setattr__(self, "_items", dict(items or {}))

    def __getitem__(self, key: str) -> ValueT_co:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce__(self) -> tuple[type[FrozenMapping[ValueT_co]], tuple[dict[str, ValueT_co]]]:
        return type(self), (dict(self._items),)

    def __repr__(self) -> str:
        return repr(self._items)
