"""The shares of the interpreters together are everything, and none is empty."""

from __future__ import annotations

import pytest

from . import examples


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.parametrize("cases", [1, 2, 3, 4, 5, 30])
def test_shares(monkeypatch: pytest.MonkeyPatch, cases: int) -> None:
    monkeypatch.setattr(examples, "PARTS", 4)
    tried: list[int] = []
    for part in (1, 2, 3, 4):
        monkeypatch.setattr(examples, "PART", part)
        mine = examples.share(range(cases))
        assert mine
        tried += mine
    assert set(tried) == set(range(cases))
    assert cases < 4 or len(tried) == cases
