"""How the documentation finds its blocks, translates them and draws its pictures."""

from __future__ import annotations

import re

import pytest
from _ext.drawing import draw
from _ext.flavours import with_tabs
from _ext.snippets import ANY_FENCE, snippets, translate

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

PAGE = """\
Text.

```python
async with AgentsSandboxClient() as client:
    await client.ping()
```

```python sync
client.ping()
```
"""


def test_blocks_have_a_kind_and_a_line() -> None:
    first, second = snippets(PAGE)
    assert (first.kind, first.line, first.is_translated) == ("", 4, True)
    assert (second.kind, second.line, second.is_translated) == ("sync", 9, False)


@pytest.mark.parametrize(
    "fence",
    ["```python", "   ```python sync", "~~~python", "> ```python", "```{code-block} python"],
)
def test_every_form_of_a_python_block_is_counted(fence: str) -> None:
    assert ANY_FENCE.search(f"text\n{fence}\n")
    assert not ANY_FENCE.search(f"text with {fence}\n```pythonic\n```sh\n")


@pytest.mark.parametrize(
    ("code", "translation"),
    [
        ("async for event in stream:\n    pass\n", "for event in stream:\n    pass\n"),
        ("await client.aclose()\n", "client.close()\n"),
        (
            "import asyncio\n\nasync def main():\n    await client.ping()\n\nasyncio.run(main())\n",
            "def main():\n    client.ping()\n\nmain()\n",
        ),
    ],
)
def test_code_is_translated_as_by_the_build(code: str, translation: str) -> None:
    assert translate(code) == translation


@pytest.mark.parametrize(
    "code", ["await asyncio.gather(first())\n", "await client.run()  # async\n", "x = await(y)\n"]
)
def test_what_cannot_be_translated_is_an_error(code: str) -> None:
    with pytest.raises(ValueError, match=r"mark this block as async.*: line 1: "):
        translate(code)


def test_an_async_block_is_shown_with_its_translation() -> None:
    shown = with_tabs(PAGE)
    assert re.findall(r"{tab-item} (\w+)", shown) == ["async", "blocking"]
    assert "with SyncAgentsSandboxClient() as client:\n    client.ping()\n```" in shown
    assert shown.endswith("\n\n```python\nclient.ping()\n```\n")
    assert shown.startswith("Text.\n\n`````{tab-set}\n")


def test_an_async_block_is_shown_with_the_sync_block_after_it() -> None:
    code = "await asyncio.gather(first())"
    pair = f"```python async\n{code}\n```\n\n```python sync\nfirst()\n```\n"
    shown = with_tabs(pair)
    assert re.findall(r"{tab-item} (\w+)", shown) == ["async", "blocking"]
    assert shown.count("first()") == 2
    apart = pair.replace("```\n\n```", "```\n\nText.\n\n```")
    assert "tab-item" not in with_tabs(apart)
    assert with_tabs(apart).count("```python\n") == 2


@pytest.mark.parametrize("kind", ["sync", "pytest", "types"])
def test_blocks_of_other_kinds_have_no_tabs(kind: str) -> None:
    assert with_tabs(f"```python {kind}\nx = 1\n```\n") == "```python\nx = 1\n```\n"


STATES = """
| PENDING | READY  |
|         | FAILED |

PENDING -> READY: containers run
READY -> FAILED: failure
READY ~> PENDING: again & again
"""
MESSAGES = """
client | daemon

client -> daemon: Ping
daemon -> client: its version
client: knows it
--- the connection breaks
"""


@pytest.mark.parametrize("text", [STATES, MESSAGES])
def test_a_picture_shows_each_text_in_its_frame(text: str) -> None:
    svg = draw(text, "what it <shows>")
    assert 'aria-label="what it &lt;shows&gt;"' in svg
    labels = re.findall(r"(?:\| |: |-{3} )(\w[^|\n]*?)(?= *\||\n)", text)
    assert labels
    for label in labels:
        assert f">{label.replace('&', '&amp;')}</text>" in svg
    ((width, height),) = re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)
    for x, y in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"', svg):
        assert 0 < float(x) < float(width)
        assert 0 < float(y) < float(height)


def test_a_picture_has_an_arrow_for_each_line() -> None:
    assert draw(STATES, "states").count("<polygon") == 3
    assert draw(MESSAGES, "messages").count("<polygon") == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("| A |\nA -> B", "no box named 'B'"),
        ("| A |\nA to B", "no arrow: 'A to B'"),
        ("client | daemon\nnobody -> daemon: x", "no message"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        draw(text, "nothing")
