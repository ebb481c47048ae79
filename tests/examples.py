"""How much one interpreter tries of what would take all of them too long."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

FEW = os.environ.get("TESTS_EXAMPLES") == "few"
"""Whether to try some random examples only; one interpreter tries many."""

PART, PARTS = map(int, os.environ.get("TESTS_SHARE", "1/1").split("/"))
"""Which share of many cases to try, such as 2 of 4; `tox` gives each interpreter another one."""


def share(cases: Sequence[T]) -> list[T]:
    """Choose the cases to try: all interpreters together try all, and each tries at least one."""
    return list(cases[PART - 1 :: PARTS]) or [cases[(PART - 1) % len(cases)]]
