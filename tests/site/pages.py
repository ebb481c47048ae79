"""The pages of the documentation, as readers get them. `SITE` names the folder of the HTML."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from _ext.snippets import snippets
from _ext.twins import TWINS

import agents_sandbox
import agents_sandbox.telemetry
import agents_sandbox.testing

SITE = Path(os.environ["SITE"])
DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.relative_to(SITE).as_posix(): path for path in sorted(SITE.rglob("*.html"))}

# Elements without an end.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Element(NamedTuple):
    """What a start tag says."""

    tag: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """One page: its elements, and the texts of its code blocks in tabs and outside."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.tab_sets: list[dict[str, str]] = []
        self._open: list[Element] = []
        self._label = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)
        classes = element.attributes.get("class", "").split()
        if "sd-tab-set" in classes:
            self.tab_sets.append({})
        if "sd-tab-label" in classes:
            self._label = element.attributes["data-sync-id"]
            self.tab_sets[-1][self._label] = ""

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        within = [element.attributes.get("class", "") for element in self._open]
        if any("sd-tab-content" in classes for classes in within) and "pre" in self._tags():
            self.tab_sets[-1][self._label] += data

    def _tags(self) -> set[str]:
        return {element.tag for element in self._open}

    @property
    def ids(self) -> set[str]:
        return {element.attributes["id"] for element in self.elements if "id" in element.attributes}


PARSED = {name: Page(path) for name, path in PAGES.items()}


def addresses(page: Page) -> Iterator[tuple[Element, str]]:
    """Yield what the page loads or links to."""
    for element in page.elements:
        for name in ("href", "src", "srcset", "data", "poster", "action"):
            if name in element.attributes:
                yield element, element.attributes[name]


def test_there_are_pages() -> None:
    sources = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert len(sources) > 20
    assert {source.as_posix() for source in sources} <= PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_nothing_from_elsewhere(name: str) -> None:
    loaded = [
        (element.tag, address)
        for element, address in addresses(PARSED[name])
        if element.tag != "a" and (urlsplit(address).scheme or address.startswith("//"))
    ]
    assert loaded == []


@pytest.mark.parametrize(
    "path", [path for path in sorted(SITE.rglob("*")) if path.suffix in (".css", ".js")], ids=str
)
def test_a_style_or_script_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"""url\(["']?(?:https?:)?//[^)]*|@import[^;]*|importScripts""", text) == []


@pytest.mark.parametrize("name", PAGES)
def test_internal_links_lead_somewhere(name: str) -> None:
    for element, address in addresses(PARSED[name]):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = PAGES[name].parent / unquote(parts.path) if parts.path else PAGES[name]
        assert target.resolve().is_file(), (element, address)
        page = PARSED.get(target.resolve().relative_to(SITE.resolve()).as_posix())
        if parts.fragment and page is not None:
            assert unquote(parts.fragment) in page.ids, (element, address)


@pytest.mark.parametrize(
    "source", sorted(DOCS.rglob("*.md")), ids=lambda path: path.relative_to(DOCS).as_posix()
)
def test_each_async_block_is_shown_beside_its_translation(source: Path) -> None:
    page = PARSED[source.relative_to(DOCS).with_suffix(".html").as_posix()]
    shown = defaultdict(list)
    for tabs in page.tab_sets:
        shown[tabs.get("async")].append(tabs.get("blocking"))
    for snippet in snippets(source.read_text("utf-8")):
        if snippet.is_translated:
            assert snippet.translation in shown[snippet.code], snippet


def test_all_tabs_of_the_site_follow_a_choice() -> None:
    labels = [
        element.attributes
        for page in PARSED.values()
        for element in page.elements
        if "sd-tab-label" in element.attributes.get("class", "").split()
    ]
    groups = {(label["data-sync-group"], label["data-sync-id"]) for label in labels}
    assert groups == {("flavour", "async"), ("flavour", "blocking")}


def test_every_public_name_is_in_the_reference() -> None:
    ids = {identifier for page in PARSED.values() for identifier in page.ids}
    names = {f"agents_sandbox.{name}" for name in agents_sandbox.__all__ if name != "__version__"}
    for module in (agents_sandbox.telemetry, agents_sandbox.testing):
        names |= {f"{module.__name__}.{name}" for name in module.__all__}
    assert sorted(names - ids) == []


@pytest.mark.parametrize(("name", "twin"), TWINS.items())
def test_every_method_of_a_twin_is_in_the_reference(name: str, twin: str) -> None:
    ids = {identifier for page in PARSED.values() for identifier in page.ids}
    methods = [
        method for method in dir(getattr(agents_sandbox, twin)) if not method.startswith("_")
    ]
    assert [method for method in methods if f"agents_sandbox.{twin}.{method}" not in ids] == []


def test_code_in_texts_links_to_the_reference() -> None:
    links = [address for _, address in addresses(PARSED["explanation/event-order.html"])]
    assert "../reference/errors.html#agents_sandbox.SandboxSequenceExpiredError" in links
    client = "../reference/client.html#agents_sandbox.AgentsSandboxClient"
    assert f"{client}.subscribe_sandbox_events" in links


def test_pictures_have_a_text_for_those_who_cannot_see_them() -> None:
    pictures = [
        element
        for page in PARSED.values()
        for element in page.elements
        if element.tag == "svg" and element.attributes.get("class") == "picture"
    ]
    assert len(pictures) >= 4
    assert all(element.attributes["aria-label"] for element in pictures)
