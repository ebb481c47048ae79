"""Notes on interruptions: who gets them, and who does not."""

from __future__ import annotations

import sys

import pytest

from agents_sandbox import SandboxClientError
from agents_sandbox._notes import Remains


def fail(error: BaseException, note: str | None = "sandbox abc may exist") -> list[str] | None:
    """Return the notes of an error that comes out."""
    with pytest.raises(type(error)) as caught, Remains() as remains:
        remains.note = note
        raise error
    assert caught.value is error
    return getattr(error, "__notes__", None)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_an_interruption_gets_a_note() -> None:
    assert fail(KeyboardInterrupt()) == ["sandbox abc may exist"]


def test_an_interruption_that_leaves_nothing_behind_gets_none() -> None:
    assert fail(KeyboardInterrupt(), None) is None


def test_an_error_of_ours_gets_none() -> None:
    assert fail(SandboxClientError()) is None


def test_an_interruption_without_notes_comes_out_as_it_is() -> None:
    class AsBeforePython311(KeyboardInterrupt):
        add_note = None

    assert fail(AsBeforePython311()) is None
