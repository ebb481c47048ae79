"""How many examples the tests try that could try very many."""

from __future__ import annotations

import os

FEW = os.environ.get("TESTS_EXAMPLES") == "few"
"""Whether to try some only; one interpreter tries all, and `tox` sets this for the others."""
