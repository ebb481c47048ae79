"""Every change of the public API since the last release has its line in the changelog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agents_sandbox

from .api_changes import changes, unnamed
from .public_api import FILE, public_api, recorded

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)^## ", re.MULTILINE | re.DOTALL)


def test_a_release_records_its_public_api() -> None:
    assert recorded()[0] == agents_sandbox.__version__, "run: python -m tests.public_api"


def test_the_changelog_names_every_change_of_the_public_api() -> None:
    (section,) = UNRELEASED.findall(CHANGELOG.read_text("utf-8"))
    missing = unnamed(changes(recorded()[1], public_api()), section)
    if missing:
        hint = "the public API has changed; name in CHANGELOG.md, under Unreleased and in code:"
        lines = [
            f"{'Breaking: ' if one.breaking else ''}`{one.name}`: {one.text}" for one in missing
        ]
        pytest.fail("\n".join([hint, *lines]), pytrace=False)


def test_the_record_names_nothing_private() -> None:
    assert re.findall(r"\b_[A-Za-z]\w*|0x[0-9a-f]+", FILE.read_text("utf-8")) == []


# Made up; each line is of another kind.
BOX = """\
agents_sandbox.Box(size: int = 1, *, state: State = <READY: 2>)
agents_sandbox.Box.close(self) -> None
agents_sandbox.Box.open async (self, path: str, *, mode: str = 'r') -> bytes
agents_sandbox.Box.size: int = 1
agents_sandbox.Box.state: property State
agents_sandbox.Box: class(Crate, Sized)
agents_sandbox.RELEASES = ('1', '2')
agents_sandbox.State.READY = 2
agents_sandbox.State: class(IntEnum)
agents_sandbox.errors.CODES['NOT_FOUND'] = BoxNotFoundError
pytest --fixtures box: Box, scope=function
pytest --markers box(*, size=1, **options)
pytest ini box_size: default='1'
python -m agents_sandbox.testing --size: metavar='N', default='1'
agents-sandbox show --size: metavar='N', default='1'
agents-sandbox show <box>: nargs=1
agents-sandbox show: command
"""


def box(line: str, old: str, new: str) -> str:
    """The API above with a change in one line."""
    before, found, after = BOX.partition(line)
    assert found
    assert old in line
    return f"{before}{line.replace(old, new)}{after}".replace("\n\n", "\n")


CLOSE = "agents_sandbox.Box.close(self) -> None"
OPEN = "agents_sandbox.Box.open async (self, path: str, *, mode: str = 'r') -> bytes"
NEW = "agents_sandbox.Box(size: int = 1, *, state: State = <READY: 2>)"
BASES = "agents_sandbox.Box: class(Crate, Sized)"
READY = "agents_sandbox.State.READY = 2"
CODE = "agents_sandbox.errors.CODES['NOT_FOUND'] = BoxNotFoundError"
FIXTURE = "pytest --fixtures box: Box, scope=function"
MARKER = "pytest --markers box(*, size=1, **options)"
SIZE = "python -m agents_sandbox.testing --size: metavar='N', default='1'"


SHOW = "agents-sandbox show: command"
SHOW_SIZE = "agents-sandbox show --size: metavar='N', default='1'"


@pytest.mark.once
@pytest.mark.parametrize(
    ("line", "old", "new", "name", "text"),
    [
        (CLOSE, CLOSE, "", "close", "object was removed"),
        (CODE, CODE, "", "NOT_FOUND", "object was removed"),
        (SIZE, SIZE, "", "--size", "object was removed"),
        (SHOW, SHOW, "", "show", "object was removed"),
        (SHOW_SIZE, SHOW_SIZE, "", "--size", "object was removed"),
        (SHOW_SIZE, "'1'", "'2'", "--size", "Value was changed"),
        (OPEN, " async ", "", "open", "object was removed"),
        (CLOSE, "(self) ->", ": property", "close", "a different kind of object"),
        (BASES, ", Sized", "", "Box", "Base class was removed"),
        (OPEN, ", *, mode: str = 'r'", "", "open", "Parameter was removed"),
        (OPEN, "path: str, *,", "*, path: str,", "open", "Parameter kind was changed"),
        (OPEN, " = 'r'", "", "open", "Parameter is now required"),
        (CLOSE, "self", "self, now: bool", "close", "Parameter was added as required"),
        (OPEN, "'r'", "'rb'", "open", "default was changed*: `'r'` -> `'rb'`"),
        (NEW, "READY: 2", "LOST: 3", "Box", "default was changed"),
        (MARKER, "1", "2", "box", "default was changed"),
        (SIZE, "'1'", "'2'", "--size", "Value was changed*: `'1'` -> `'2'`"),
        (READY, "2", "3", "READY", "Value was changed"),
        (FIXTURE, "function", "session", "box", "Value was changed"),
    ],
)
def test_what_breaks_programs_is_told_apart(
    line: str, old: str, new: str, name: str, text: str
) -> None:
    first, *rest = changes(BOX, box(line, old, new))
    assert (first.breaking, first.name) == (True, name)
    assert text in first.text
    # An entry that does not warn is not enough.
    assert unnamed([first, *rest], f"- `{name}` is other than it was.\n") == [first]
    assert unnamed([first, *rest], f"- Breaking: `Box.{name}` is other than it was.\n") == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("line", "old", "new", "name"),
    [
        (CLOSE, CLOSE, f"{CLOSE}\nagents_sandbox.Box.shut(self) -> None", "shut"),
        (CLOSE, "self", "self, *, now: bool = False", "close"),
        (OPEN, "path: str", "path: str | Path", "open"),
        (SIZE, "'N'", "'SIZE'", "--size"),
        ("agents_sandbox.RELEASES = ('1', '2')", "'2'", "'2', '3'", "RELEASES"),
    ],
)
def test_a_change_that_breaks_nothing_has_its_entry_too(
    line: str, old: str, new: str, name: str
) -> None:
    found = changes(BOX, box(line, old, new))
    assert {(one.breaking, one.name) for one in found} == {(False, name)}
    assert unnamed(found, "- Nothing of it.\n") == found
    assert unnamed(found, f"- `{name}` is new, or takes more.\n") == []


@pytest.mark.once
def test_the_name_of_a_class_stands_for_its_members() -> None:
    without = "".join(line for line in BOX.splitlines(True) if ".Box" not in line)
    assert {(one.breaking, one.path) for one in changes(BOX, without)} == {
        (True, "agents_sandbox.Box"),
        (False, "agents_sandbox.Box"),
    }
    assert {(one.breaking, one.path) for one in changes(without, BOX)} == {
        (False, "agents_sandbox.Box")
    }
