"""No change of the public API goes unnoticed: `public_api.txt` records it."""

from __future__ import annotations

import difflib
import re

import pytest

from .public_api import FILE, public_api


def test_the_public_api_is_the_recorded_one() -> None:
    recorded, installed = FILE.read_text("utf-8").splitlines(), public_api().splitlines()
    diff = difflib.unified_diff(recorded, installed, "recorded", "installed", n=0, lineterm="")
    if recorded != installed:
        hint = "the public API has changed; to record it: python -m tests.public_api"
        pytest.fail("\n".join([hint, *diff]), pytrace=False)


def test_the_record_names_nothing_private() -> None:
    assert re.findall(r"\b_[A-Za-z]\w*|0x[0-9a-f]+", FILE.read_text("utf-8")) == []
