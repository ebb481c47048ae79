"""An immutable, hashable, picklable dict for the models.

It is a dict so that JSON encoders, pydantic and `dataclasses.asdict` take it for one.
`types.MappingProxyType` cannot be pickled or hashed, and is a view of a dict that other code can
still change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

ValueT = TypeVar("ValueT")


class FrozenMapping(dict[str, ValueT]):
    """An immutable copy of a mapping with string keys; equal to a dict with the same items.

    `copy()`, `dict(...)` and `|` return plain dicts that can be changed.
    """

    __slots__ = ()

    # Filled here, because anybody can call __init__ again.
    def __new__(cls, items: Mapping[str, ValueT] | Iterable[tuple[str, ValueT]] = ()) -> Self:
        self = super().__new__(cls)
        dict.update(self, items)
        return self

    def __init__(self, items: Mapping[str, ValueT] | Iterable[tuple[str, ValueT]] = ()) -> None:
        """Add nothing; a dict would add the items."""

    # Type checkers need none of it: the models declare a Mapping.
    if not TYPE_CHECKING:

        def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
            raise TypeError("the mapping is immutable: change a copy of it, such as dict(mapping)")

        __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = _refuse

        # Python then makes `mapping = mapping | other` of `mapping |= other`.
        def __ior__(self, _other: object) -> object:
            return NotImplemented

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none
        return hash(frozenset(self.items()))

    # Otherwise its items would be set one by one.
    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, ValueT]]]:
        return type(self), (dict(self),)


NO_ITEMS: FrozenMapping[str] = FrozenMapping()
"""An empty one, for all who need one."""
