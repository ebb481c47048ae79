"""Strict reading of YAML nodes by type, with the errors that Go's decoder would give.

Any scalar will do for a string and is taken as it is written, null leaves a field unset
and is left out of a list, an unknown key is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .strconv import quoted
from .yaml_graph import Node

T = TypeVar("T")
Decoder = Callable[[Node], T]

_MAX_UINT32 = (1 << 32) - 1
_MAX_SHOWN = 10
_TRUTHS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
"""Words of YAML 1.1 that will do for a truth value, quoted or not."""


class NodeReader:
    """Decodes nodes and collects everything that is wrong with them."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.strings = self.list_of(self.string, "string")
        self.string_map = self.map_of(self.string, "string")

    def string(self, node: Node) -> str:
        """Any scalar, as it is written."""
        if node.kind != "scalar":
            self._mismatch(node, "string")
        return "" if node.tag == "!!null" else node.text

    def boolean(self, node: Node) -> bool:
        """A truth value."""
        value = _TRUTHS.get(node.text) if isinstance(node.value, str) else node.value
        if not isinstance(value, bool):
            self._mismatch(node, "bool")
            return False
        return value

    def uint32(self, node: Node) -> int:
        """A number that fits the wire; a fraction is cut off."""
        value = node.value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (is_number and -1 < value < _MAX_UINT32 + 1):
            self._mismatch(node, "uint32")
            return 0
        return int(value)

    def list_of(self, item: Decoder[T], go_type: str) -> Decoder[list[T]]:
        """A decoder for a sequence."""

        def decode(node: Node) -> list[T]:
            if node.kind != "sequence":
                self._mismatch(node, f"[]{go_type}")
                return []
            return [item(child) for child in node.children if child.tag != "!!null"]

        return decode

    def map_of(self, value: Decoder[T], go_type: str) -> Decoder[dict[str, T]]:
        """A decoder for a mapping with free keys."""

        def decode(node: Node) -> dict[str, T]:
            pairs = self._pairs(node, f"map[string]{go_type}")
            return {key: value(child) for key, (_, child) in pairs.items()}

        return decode

    def struct(self, go_type: str, fields: Mapping[str, Decoder[Any]]) -> Decoder[dict[str, Any]]:
        """A decoder for a mapping with known keys; those absent or null are left out."""

        def decode(node: Node) -> dict[str, Any]:
            decoded = {}
            for key, (line, child) in self._pairs(node, go_type).items():
                if key not in fields:
                    self._error(line, f"field {key} not found in type {go_type}")
                elif child.tag != "!!null":
                    decoded[key] = fields[key](child)
            return decoded

        return decode

    def _pairs(self, node: Node, go_type: str) -> dict[str, tuple[int, Node]]:
        """The values of a mapping by key, each with the key's line."""
        if node.tag == "!!null":
            return {}
        if node.kind != "mapping":
            self._mismatch(node, go_type)
            return {}
        pairs: dict[str, tuple[int, Node]] = {}
        mappings = [node]
        while mappings:  # without recursion: a merged mapping can merge another
            mapping = mappings.pop()
            self._check_keys_once(mapping)
            for key, child in _entries(mapping):
                if key.tag == "!!merge":
                    mappings.extend(reversed(_merged_mappings(child)))
                elif key.tag != "!!null":
                    pairs.setdefault(self.string(key), (key.line, child))
        return pairs

    def _check_keys_once(self, mapping: Node) -> None:
        first: dict[tuple[str, str], Node] = {}
        for key, _ in _entries(mapping):
            earlier = first.setdefault((key.kind, key.text), key)
            if earlier is not key:
                again = f"mapping key {quoted(key.text)} already defined at line {earlier.line}"
                self._error(key.line, again)

    def _mismatch(self, node: Node, go_type: str) -> None:
        text = node.text if len(node.text) <= _MAX_SHOWN else f"{node.text[:7]}..."
        shown = f" `{text}`" if node.kind == "scalar" else ""
        self._error(node.line, f"cannot unmarshal {node.tag}{shown} into {go_type}")

    def _error(self, line: int, message: str) -> None:
        self.errors.append(f"line {line}: {message}")


def _entries(node: Node) -> Iterator[tuple[Node, Node]]:
    return zip(node.children[::2], node.children[1::2], strict=True)


def _merged_mappings(node: Node) -> list[Node]:
    mappings = node.children if node.kind == "sequence" else [node]
    if any(mapping.kind != "mapping" for mapping in mappings):
        raise ValueError("yaml: map merge requires map or sequence of maps as the value")
    return mappings
