"""The Python blocks of the pages, and their translation into the blocking flavour.

The site shows these blocks, and the tests run them. A block begins with ```` ```python ````, which
a kind may follow:

| Kind | What it is |
|---|---|
| none | Code for the async client, which is translated for the blocking one, or code for neither |
| `async` | Code for the async client without a translation; a `sync` block may come next |
| `sync` | Code for the blocking client alone |
| `newest` | As none, with the newest daemon only |
| `pytest` | A test file for the plugin |
| `types` | The beginning of public dataclasses |
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import build_sync
import unasync

KINDS = ("", "async", "sync", "newest", "pytest", "types")

TRANSLATED = ("", "newest")
"""The kinds whose blocks for the async client have a translation."""

FENCE = re.compile(r"^```python(?: (?P<kind>\w+))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_FENCE = re.compile(
    r"^[ \t>]*(?:`{3,}|~{3,}|:{3,})[ \t]*\{?(?:code-block\} *)?python\b", re.MULTILINE
)
"""The beginning of any Python block, also of one that `FENCE` does not find."""

# The start of a whole program; the translation calls the function itself.
_ASYNCIO_RUN = re.compile(r"\basyncio\.run\((\w+\(.*\))\)")


class Snippet(NamedTuple):
    """A Python block of a page."""

    kind: str
    code: str
    line: int
    """The line of its first line of code, from 1."""

    @property
    def is_async(self) -> bool:
        """Whether it awaits something."""
        nodes = (ast.Await, ast.AsyncFor, ast.AsyncWith)
        return any(isinstance(node, nodes) for node in ast.walk(ast.parse(self.code)))

    @property
    def is_translated(self) -> bool:
        """Whether it has a translation."""
        return self.kind in TRANSLATED and self.is_async

    @property
    def translation(self) -> str:
        """Its code in the blocking flavour."""
        return translate(self.code)


def snippets(page: str) -> Iterator[Snippet]:
    """Yield the Python blocks of a page, given its text."""
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("code")) + 1
        yield Snippet(match["kind"] or "", match["code"], line)


def translate(code: str) -> str:
    """Translate code as the build translates the client.

    Raises:
        ValueError: Something of the async flavour would remain.
    """
    _refuse(build_sync.source_problems(code))
    code = _ASYNCIO_RUN.sub(r"\1", code)
    if "asyncio." not in code:
        code = code.replace("import asyncio\n", "", 1)
    with tempfile.TemporaryDirectory() as name:
        # unasync replaces this path wherever it occurs, so no link may be in it.
        folder = Path(name).resolve()
        origin, twin = folder / "origin", folder / "twin"
        origin.mkdir()
        (origin / "snippet.py").write_text(code, "utf-8")
        rule = unasync.Rule(f"{origin}/", f"{twin}/", build_sync.RENAMES)
        unasync.unasync_files([str(origin / "snippet.py")], [rule])
        translated = (twin / "snippet.py").read_text("utf-8")
    _refuse(build_sync.twin_problems(translated))
    return translated.lstrip("\n")


def _refuse(problems: Iterator[tuple[int, str]]) -> None:
    found = "; ".join(f"line {line}: {problem}" for line, problem in problems)
    if found:
        raise ValueError(f"mark this block as async, and write its sync block after it: {found}")
