"""Notes on interruptions: who gets them, and who does not."""

from __future__ import annotations

import sys

import pytest

from agents_sandbox import SandboxClientError
from agents_sandbox._notes import noting


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_an_interruption_gets_a_note() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, noting(lambda: "sandbox abc may exist"):
        raise KeyboardInterrupt
    assert getattr(caught.value, "__notes__", None) == ["sandbox abc may exist"]


def test_an_error_of_ours_gets_none() -> None:
    with pytest.raises(SandboxClientError) as caught, noting(lambda: "sandbox abc may exist"):
        raise SandboxClientError
    assert not hasattr(caught.value, "__notes__")


def test_an_interruption_without_notes_comes_out_as_it_is() -> None:
    class AsBeforePython311(KeyboardInterrupt):
        add_note = None

    with pytest.raises(AsBeforePython311), noting(lambda: "sandbox abc may exist"):
        raise AsBeforePython311
