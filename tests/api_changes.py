"""What has changed between two texts of the public API, and what of that breaks programs.

griffe knows what breaks: each line of a text becomes an object that it compares. It compares no
values of attributes. Other types, of parameters and of results, are changes that break nothing
here: whether a type is wider or narrower, the author has to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import griffe

_LINE = re.compile(
    r"(?P<path>pytest --markers \w+|(?:pytest|python -m|agents-sandbox) [^:]+"
    r"|[\w.]+(?:\[.+?\])?(?: async)?)"
    r" ?(?P<rest>.*)"
)
_BASES = re.compile(r": (?:frozen )?(?:data)?class(\(.*\))")
# Programs rely on defaults, on scopes of fixtures and on numbers of states. They do not rely on
# what the name of a type stands for, nor on the list of releases.
_VALUE = re.compile(r": .*?\b(?:default|scope)=([^,]+)|: .+? = (.+)|= (\d+)")
_NO_CODE = re.compile(r"<[^<>]*>")
_NAME = re.compile(r"[\w-]+")
_CODE = re.compile(r"`([^`]+)`")
_ENTRY = re.compile(r"^- ", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """What has gone, come or changed."""

    path: str
    text: str
    breaking: bool

    @property
    def name(self) -> str:
        """The last part of the path, such as `run` or `--agents-sandbox-version`."""
        *_, name = _NAME.findall(self.path.removesuffix(" async"))
        return str(name)


def changes(before: str, after: str) -> list[Change]:
    """Compare two texts: what breaks programs comes first, then every line that differs."""
    old, new = _parsed(before), _parsed(after)
    breaks = [
        Change(one.obj.name, one.explain(griffe.ExplanationStyle("markdown"))[2:], breaking=True)
        for one in griffe.find_breaking_changes(_module(old), _module(new))
    ]
    breaks += [
        Change(
            path,
            f"`{path}`: *Value was changed*: `{value}` -> `{_value(new[path])}`",
            breaking=True,
        )
        for path, rest in old.items()
        if path in new and (value := _value(rest)) not in (None, _value(new[path]))
    ]
    lines = [
        Change(path, f"{sign}{path}{rest}", breaking=False)
        for sign, here, there in (("-", old, new), ("+", new, old))
        for path, rest in here.items()
        if there.get(path) != rest
    ]
    # The name of a class stands for its members if all of it has gone or come.
    whole = old.keys() ^ new.keys()
    return [one for one in (*breaks, *lines) if _owner(one.path) not in whole]


def unnamed(found: list[Change], section: str) -> list[Change]:
    """Return the changes that a section of the changelog does not name in code.

    What breaks programs must be named in an entry that begins with "Breaking:".
    """
    entries = _ENTRY.split(section)[1:]
    named = _names(entries)
    broken = _names([entry for entry in entries if entry.startswith("Breaking: ")])
    return [one for one in found if one.name not in (broken if one.breaking else named)]


def _names(entries: list[str]) -> set[str]:
    codes = [code for entry in entries for code in _CODE.findall(entry)]
    return {name for code in codes for name in _NAME.findall(code)}


def _parsed(text: str) -> dict[str, str]:
    """Return what each path is; a class and its constructor are two."""
    parsed: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        assert found, line
        path, rest = found.groups()
        is_constructor = rest.startswith("(") and ") -> " not in rest and "." in path
        path = f"{path}()" if is_constructor else path
        assert path not in parsed, path
        parsed[path] = rest
    return parsed


def _owner(path: str) -> str:
    """Return the path of the class whose member or constructor it is."""
    return path.removesuffix("()") if path.endswith("()") else path.rpartition(".")[0]


def _module(parsed: dict[str, str]) -> griffe.Module:
    module = griffe.Module("api", filepath=Path("public_api.txt"))
    for path, rest in parsed.items():
        one = _object(path, rest)
        one.public, one.parent = True, module
        module.members[path] = one
    return module


def _object(path: str, rest: str) -> griffe.Class | griffe.Function | griffe.Attribute:
    if bases := _BASES.fullmatch(rest):
        return griffe.Class(path, bases=_visited(f"class X{bases[1]}: ...")["X"].bases)
    if rest.startswith("("):
        parameters = _NO_CODE.sub(lambda shown: repr(shown[0]), rest)
        return griffe.Function(path, parameters=_visited(f"def x{parameters}: ...")["x"].parameters)
    return griffe.Attribute(path)


def _value(rest: str) -> str | None:
    value = _VALUE.match(rest)
    return next(filter(None, value.groups())) if value else None


def _visited(code: str) -> griffe.Module:
    return griffe.visit("code", Path("code.py"), code)
