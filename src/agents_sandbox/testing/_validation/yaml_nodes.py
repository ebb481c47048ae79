"""Decodes YAML into values of known types.

Any scalar can be a string, exactly as it is written. A null field is unset and a null item is
omitted. Unknown keys and repeated keys are errors.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from itertools import chain
from typing import Any, Literal, Protocol, TypeVar

import grpc

from .._protocol.refusals import StatusError
from .strconv import quoted


class Node(Hashable, Protocol):
    """A node that PyYAML composes; an alias is the node that it refers to."""

    id: Literal["scalar", "sequence", "mapping"]
    tag: str
    value: Any
    """The text of a scalar, the items of a sequence, the pairs of a mapping."""
    start_mark: Any


T = TypeVar("T")
Decoder = Callable[[Node], T]

_TAG_PREFIX = "tag:yaml.org,2002:"
_NULL = _TAG_PREFIX + "null"
# Source: Go's yaml.v3. These are strings, which it accepts for a boolean, quoted or not.
_BOOLEAN_WORDS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Decimal only: YAML 1.1, YAML 1.2 and Go disagree about 017 and 1:30.
_DECIMAL = re.compile("0|[1-9][0-9]{0,9}")
_MAX_UINT32 = (1 << 32) - 1
_MAX_SHOWN = 10
_MAX_ALIASED = 100_000


def read_document(text: bytes) -> Node:
    """Read the first document.

    Raises:
        ValueError: It is malformed, or there is none.
        RecursionError: It is nested too deeply, or an anchor contains itself.
        StatusError: PyYAML is not installed.
    """
    yaml = _import_yaml()
    try:
        loader = libyaml_loader(yaml) if yaml.__with_libyaml__ else yaml.SafeLoader
        document: Node | None = next(yaml.compose_all(text, loader), None)
        if document is not None:
            _check_values(document)
    # Python before 3.13 raises OverflowError for an escape such as "\UFFFFFFFF".
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(f"yaml: {_one_line(error)}") from None
    if document is None:
        raise ValueError("EOF")
    return document


# On one line, and without the line of the document, which may have a secret.
def _one_line(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    text = f"line {mark.line + 1}: {problem}" if problem and mark else str(error)
    return " ".join(text.split())


def _import_yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "the fake daemon needs PyYAML for config_yaml: pip install 'agents-sandbox[testing]'",
        ) from error


@cache
def libyaml_loader(yaml: Any) -> Any:
    """Make a loader with libyaml's parser, which is 5 to 100 times as fast as PyYAML's.

    Go's yaml.v3 descends from libyaml, too; both accept tabs in places where PyYAML does not.
    """
    parser, composer, resolver = yaml.cyaml.CParser, yaml.composer.Composer, yaml.resolver.Resolver

    def init(self: Any, stream: bytes) -> None:
        parser.__init__(self, stream)
        composer.__init__(self)
        resolver.__init__(self)

    # Not the parser's own composer: with older PyYAML, deep nesting overflows the C stack.
    return type("LibyamlLoader", (composer, parser, resolver), {"__init__": init})


def _check_values(document: Node) -> None:
    """Refuse invalid Unicode, and aliases that expand to too many values or endlessly."""

    @cache
    def count(node: Node) -> int:
        if node.id == "scalar":
            node.value.encode()  # PyYAML accepts escapes of lone surrogates, such as "\ud800"
            return 1
        children = node.value if node.id == "sequence" else chain.from_iterable(node.value)
        return 1 + sum(map(count, children))

    total = count(document)
    if total - count.cache_info().currsize > _MAX_ALIASED:
        raise ValueError("document contains excessive aliasing")


def string(node: Node) -> str:
    """Decode any scalar as it is written."""
    if node.id != "scalar":
        raise _mismatch(node, "string")
    return "" if node.tag == _NULL else node.value


def boolean(node: Node) -> bool:
    """Decode a boolean."""
    # PyYAML takes some of the words for booleans.
    word = _text(node, "str") or _text(node, "bool")
    value = _BOOLEAN_WORDS.get(word, _BOOLEANS.get(_text(node, "bool")))
    if value is None:
        raise _mismatch(node, "bool")
    return value


def uint32(node: Node) -> int:
    """Decode a decimal number that fits in 32 bits."""
    text = _text(node, "int")
    if not (_DECIMAL.fullmatch(text) and int(text) <= _MAX_UINT32):
        raise _mismatch(node, "uint32")
    return int(text)


def list_of(item: Decoder[T], go_type: str) -> Decoder[list[T]]:
    """Make a decoder for a sequence."""

    def decode(node: Node) -> list[T]:
        if node.id != "sequence":
            raise _mismatch(node, f"[]{go_type}")
        return [item(child) for child in node.value if child.tag != _NULL]

    return decode


def map_of(value: Decoder[T], go_type: str) -> Decoder[dict[str, T]]:
    """Make a decoder for a mapping with any keys."""

    def decode(node: Node) -> dict[str, T]:
        pairs = _pairs(node, f"map[string]{go_type}")
        return {name: value(child) for name, (_, child) in pairs.items()}

    return decode


def struct(go_type: str, fields: Mapping[str, Decoder[Any]]) -> Decoder[dict[str, Any]]:
    """Make a decoder for a mapping with known keys, which omits null values."""

    def decode(node: Node) -> dict[str, Any]:
        if node.tag == _NULL:
            return {}
        decoded = {}
        for name, (key, child) in _pairs(node, go_type).items():
            if name not in fields:
                raise _error(key, f"field {name} not found in type {go_type}")
            if child.tag != _NULL:
                decoded[name] = fields[name](child)
        return decoded

    return decode


def _pairs(node: Node, go_type: str) -> dict[str, tuple[Node, Node]]:
    """Return a mapping's keys and values by name, including those that `<<` merges into it."""
    if node.id != "mapping":
        raise _mismatch(node, go_type)
    pairs: dict[str, tuple[Node, Node]] = {}
    for key, child in node.value:
        if key.id != "scalar" or key.tag == _NULL:
            raise _mismatch(key, "string")
        if key.value in pairs:
            first, _ = pairs[key.value]
            again = f"mapping key {quoted(key.value)} already defined at line {_line(first)}"
            raise _error(key, again)
        pairs[key.value] = key, child
    if "<<" in pairs and pairs["<<"][0].tag == _TAG_PREFIX + "merge":
        _, merged = pairs.pop("<<")
        for mapping in merged.value if merged.id == "sequence" else [merged]:
            pairs = {**_pairs(mapping, go_type), **pairs}
    return pairs


def _text(node: Node, kind: str) -> str:
    return node.value if node.id == "scalar" and node.tag == _TAG_PREFIX + kind else ""


def _mismatch(node: Node, go_type: str) -> ValueError:
    shown = ""
    if node.id == "scalar":
        text = node.value if len(node.value) <= _MAX_SHOWN else f"{node.value[:7]}..."
        shown = f" `{text}`"
    tag = node.tag.replace(_TAG_PREFIX, "!!")
    return _error(node, f"cannot unmarshal {tag}{shown} into {go_type}")


def _error(node: Node, message: str) -> ValueError:
    return ValueError(f"yaml: unmarshal errors:\n  line {_line(node)}: {message}")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
