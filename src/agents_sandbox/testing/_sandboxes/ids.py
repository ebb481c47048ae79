"""The rules for sandbox ids and exec ids; both kinds are taken for ever."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from ..._facts import ID
from .._protocol.refusals import StatusError, invalid_argument

_MIN_BYTES = 4


class IdRegistry:
    """One namespace of ids."""

    def __init__(self, field: str, already_exists: Callable[[str], StatusError]) -> None:
        self._field = field
        self._already_exists = already_exists
        self._taken: set[str] = set()

    def check(self, wanted: str) -> str:
        """Return the id to use: the one wanted, or a new one when none was.

        Raises:
            StatusError: The id breaks the rules or is taken.
        """
        if not wanted:
            return str(uuid.uuid4())
        if len(wanted.encode()) < _MIN_BYTES:
            raise invalid_argument(f"{self._field} must be at least {_MIN_BYTES} characters")
        if not ID.fullmatch(wanted):
            raise invalid_argument(
                f"{self._field} must be 4-200 characters, start and end with a letter or digit, "
                "and contain only letters, digits, hyphens, or underscores"
            )
        if wanted in self._taken:
            raise self._already_exists(wanted)
        return wanted

    def take(self, accepted: str) -> None:
        """Remember an id whose request was accepted."""
        self._taken.add(accepted)
