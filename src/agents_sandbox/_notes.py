"""Notes on exceptions that interrupt a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SandboxClientError

if TYPE_CHECKING:
    from typing_extensions import Self


class Remains:
    """What a call leaves behind if it is interrupted now.

    As a context manager it says so on an interruption; the SDK's own errors have attributes.

    Attributes:
        note: One sentence about it; None: nothing.
        sandbox_ids: The sandboxes that may exist, also under ids that were replaced since.
        accepted: Whether the daemon has accepted the last of them.
        id: The id of the exec that may exist. It can replace an id of ours by another one.
    """

    __slots__ = ("accepted", "id", "note", "sandbox_ids")

    def __init__(self) -> None:
        self.note: str | None = None
        self.sandbox_ids: list[str] = []
        self.accepted: bool = False
        self.id: str | None = None

    def before_create(self, sandbox_id: str) -> None:
        """Take note of a request that is about to be sent."""
        if sandbox_id not in self.sandbox_ids:
            self.sandbox_ids.append(sandbox_id)
        self.note = f"sandbox {sandbox_id} may exist: delete it with delete_sandbox"

    def after_create(self, sandbox_id: str) -> None:
        """Take note of its acceptance."""
        self.accepted = True
        self.note = f"sandbox {sandbox_id} exists: delete it with delete_sandbox"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, SandboxClientError):
            return
        if self.note is not None:
            add_note(error, self.note)


def nothing() -> None:
    """Do nothing, where somebody could want to take note."""


def add_note(error: BaseException, note: str) -> None:
    """Add a note, which Python shows below the traceback (PEP 678, since 3.11)."""
    add = getattr(error, "add_note", None)
    if add is not None:
        add(note)


def note_interruption(error: BaseException, interruption: BaseException) -> None:
    """Say on the first error what came after it and is not raised."""
    add_note(error, f"{type(interruption).__name__} interrupted the clean-up, which went on")
