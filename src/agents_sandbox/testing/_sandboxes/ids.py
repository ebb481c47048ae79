"""The rules for sandbox ids and exec ids; an id that was taken stays taken."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from ..._shared.facts import ID
from .._protocol.refusals import StatusError, invalid_argument

_MIN_BYTES = 4


class IdRegistry:
    """One namespace of ids."""

    def __init__(self, field: str, already_exists: Callable[[str], StatusError]) -> None:
        self._field = field
        self._already_exists = already_exists
        self._taken: set[str] = set()

    def check(self, requested: str) -> str:
        """Return the id to use: the requested one, or a new one if it is empty.

        Raises:
            StatusError: The id is invalid or taken.
        """
        if not requested:
            return str(uuid.uuid4())
        if len(requested.encode()) < _MIN_BYTES:
            raise invalid_argument(f"{self._field} must be at least {_MIN_BYTES} characters")
        if not ID.fullmatch(requested):
            raise invalid_argument(
                f"{self._field} must be 4-200 characters, start and end with a letter or digit, "
                "and contain only letters, digits, hyphens, or underscores"
            )
        if requested in self._taken:
            raise self._already_exists(requested)
        return requested

    def burn(self, requested: str) -> bool:
        """Take an id that nothing will have; return False if it is empty.

        Raises:
            StatusError: The id is invalid or taken.
        """
        if requested:
            self.take(self.check(requested))
        return bool(requested)

    def take(self, accepted: str) -> None:
        """Record the id of an accepted request."""
        self._taken.add(accepted)
