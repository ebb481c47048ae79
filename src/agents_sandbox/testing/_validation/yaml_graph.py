"""YAML as a graph of nodes, with the values and the complaints of Go's decoder.

PyYAML only parses: what `yes`, `017` or `1:30` mean is decided here, since YAML 1.1,
YAML 1.2 and Go each have an opinion of their own.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc

from .._protocol.refusals import StatusError

_CONSTANTS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("!!null", None)),
    **dict.fromkeys(("true", "True", "TRUE"), ("!!bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("!!bool", False)),
    "<<": ("!!merge", "<<"),
}
# Bounded, so that any match is cheap to convert; leading zeros make an octal number.
_INT = re.compile(
    r"(?P<sign>[-+]?)(?:(?P<based>0[xX][0-9a-fA-F]{1,16}|0[oO][0-7]{1,22}|0[bB][01]{1,64})"
    r"|0(?P<octal>[0-7]{1,22})|(?P<decimal>0|[1-9][0-9]{0,19}))"
)
_INT_RANGE = range(-(1 << 63), 1 << 64)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# Dates, infinities and NaN, which nothing in a config_yaml can be, stay strings.
_RESOLVABLE = ("!!null", "!!bool", "!!int", "!!float")
_MAX_DEPTH = 10_000
_TAG_PREFIX = "tag:yaml.org,2002:"


@dataclass
class Node:
    """One node; an alias is the node that it stands for."""

    kind: Literal["scalar", "sequence", "mapping"]
    line: int
    tag: str
    text: str = ""
    """A scalar as it is written."""
    value: Any = None
    """What a scalar means."""
    children: list[Node] = field(default_factory=list)
    """The items of a sequence; keys and values of a mapping in turn."""


def read_document(text: bytes) -> Node | None:
    """Read the first document; None if there is none.

    Raises:
        ValueError: It is malformed, with the words of Go's decoder.
        StatusError: PyYAML is not installed.
    """
    yaml = _import_yaml()
    # libyaml, whose port Go uses, has Go's words for each error. A PyYAML without it
    # finds the same errors and names them in words of its own.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _read(text, yaml, loader)
    except _TooDeepError:
        return _read(text, yaml, yaml.SafeLoader)


class _TooDeepError(Exception):
    """The libyaml of PyYAML since 6.0.4 stops at 1,000 levels, where Go's port goes on."""


def _read(text: bytes, yaml: Any, loader: Any) -> Node | None:
    try:
        return _compose(yaml.parse(text, loader), yaml)
    except yaml.reader.ReaderError as error:
        raise ValueError(f"yaml: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        if error.problem == "exceeded maximum nesting depth":
            raise _TooDeepError from error
        is_scanner_error = isinstance(error, yaml.scanner.ScannerError)
        where = _where((error.context_mark, error.problem_mark), is_scanner_error)
        raise ValueError(f"yaml: {where}{error.problem}") from error


def _import_yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "the fake daemon needs PyYAML for config_yaml: pip install 'agents-sandbox[testing]'",
        ) from error


def _where(marks: Iterable[Any], is_scanner_error: bool) -> str:
    # Go's decoder never names the first line, and only for the scanner counts from one.
    line = next((mark.line for mark in marks if mark and mark.line), 0)
    return f"line {line + is_scanner_error}: " if line else ""


def _compose(events: Iterable[Any], yaml: Any) -> Node | None:
    # Without recursion: Python's own limit is far below that of Go's decoder.
    root = Node("sequence", 0, "")
    path = [root]
    anchors: dict[str, Node] = {}
    for event in events:
        if isinstance(event, yaml.DocumentEndEvent):
            return root.children[0]
        if isinstance(event, yaml.CollectionEndEvent):
            path.pop()
        elif isinstance(event, yaml.AliasEvent):
            path[-1].children.append(_aliased(event.anchor, anchors, path))
        elif isinstance(event, yaml.NodeEvent):
            node = _node(event, yaml)
            path[-1].children.append(node)
            if event.anchor:
                anchors[event.anchor] = node
            if node.kind != "scalar":
                path.append(node)
            if len(path) > _MAX_DEPTH + 1:
                raise ValueError(f"yaml: exceeded max depth of {_MAX_DEPTH}")
    return None


def _aliased(anchor: str, anchors: dict[str, Node], path: list[Node]) -> Node:
    if anchor not in anchors:
        raise ValueError(f"yaml: unknown anchor '{anchor}' referenced")
    if any(node is anchors[anchor] for node in path):
        raise ValueError(f"yaml: anchor '{anchor}' value contains itself")
    return anchors[anchor]


def _node(event: Any, yaml: Any) -> Node:
    line = event.start_mark.line + 1
    tag = (event.tag or "").replace(_TAG_PREFIX, "!!")
    if tag == "!":
        tag = ""
    if isinstance(event, yaml.SequenceStartEvent):
        return Node("sequence", line, tag or "!!seq")
    if isinstance(event, yaml.MappingStartEvent):
        return Node("mapping", line, tag or "!!map")
    if event.style and not tag:  # quoted or a block
        tag = "!!str"
    tag, value = _tagged(tag, event.value)
    return Node("scalar", line, tag, event.value, value)


def _tagged(tag: str, text: str) -> tuple[str, Any]:
    found, value = resolve(text)
    if not tag:
        return found, value
    if tag not in _RESOLVABLE:
        return tag, text
    if tag != found and (tag, found) != ("!!float", "!!int"):
        raise ValueError(f"yaml: cannot decode {found} `{text}` as a {tag}")
    return tag, value


def resolve(text: str) -> tuple[str, Any]:
    """The tag and the value of a plain scalar."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    plain = "" if text.startswith("_") else text.replace("_", "")
    integer = _INT.fullmatch(plain)
    if integer and (value := _int_value(integer)) in _INT_RANGE:
        return "!!int", value
    if _FLOAT.fullmatch(plain):
        return "!!float", float(plain)
    return "!!str", text


def _int_value(match: re.Match[str]) -> int:
    digits = match["based"] or match["decimal"] or f"0o{match['octal']}"
    return int(match["sign"] + digits, 0)
