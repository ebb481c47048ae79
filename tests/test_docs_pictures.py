"""The page about pictures shows all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .pictures import FOLDER, PICTURES

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "pictures.md"


def test_the_page_shows_every_picture() -> None:
    shown = re.findall(r"\(\.\./_static/(.*)\)", PAGE.read_text("utf-8"))
    assert {*shown} == {path.name for path in FOLDER.glob("timeline-*.svg")} == {*PICTURES}
