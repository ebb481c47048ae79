"""Shows each block for the async client beside its blocking twin, in two tabs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .snippets import FENCE, Snippet, translate

if TYPE_CHECKING:
    import re

    from sphinx.application import Sphinx

TABS = """\
`````{{tab-set}}
:sync-group: flavour
:class: flavours

````{{tab-item}} async
:sync: async

```python
{}```
````

````{{tab-item}} blocking
:sync: blocking

```python
{}```
````
`````"""


def with_tabs(page: str) -> str:
    """Return the text of a page with its blocks for the async client in pairs of tabs.

    An `async` block is paired with the `sync` block that follows it directly; of the others the
    blocking twin is the translation.
    """
    matches = list(FENCE.finditer(page))
    paired = {
        first: second
        for first, second in pairwise(matches)
        if (first["kind"], second["kind"]) == ("async", "sync")
        and not page[first.end() : second.start()].strip()
    }
    parts, end = [], 0
    for match in matches:
        if match.start() < end:
            continue  # the second of a pair
        last = paired.get(match, match)
        parts += [page[end : match.start()], _shown(match, last)]
        end = last.end()
    return "".join([*parts, page[end:]])


def _shown(match: re.Match[str], last: re.Match[str]) -> str:
    snippet = Snippet(match["kind"] or "", match["code"], 0)
    if last is not match:
        return TABS.format(snippet.code, last["code"])
    if snippet.is_translated:
        return TABS.format(snippet.code, translate(snippet.code))
    return f"```python\n{snippet.code}```"


def _read(app: Sphinx, docname: str, content: list[str]) -> None:
    content[0] = with_tabs(content[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
