"""Strict reading of YAML by type, with the errors that Go's decoder would give.

YAML is read as a graph of nodes, not as Python values: any scalar will do for a string
and is taken as it is written, null leaves a field unset, an unknown key is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Node = Any  # PyYAML's nodes are untyped
Decoder = Callable[[Node], T]

_TAG_PREFIX = "tag:yaml.org,2002:"
_MAX_UINT32 = (1 << 32) - 1


class NodeReader:
    """Decodes nodes and collects everything that is wrong with them."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self.errors: list[str] = []

    def string(self, node: Node) -> str:
        """Any scalar, as it is written."""
        if node.id != "scalar":
            self._mismatch(node, "string")
            return ""
        return "" if _is_null(node) else str(node.value)

    def boolean(self, node: Node) -> bool:
        """A truth value."""
        return bool(self._constructed(node, "bool", "bool"))

    def uint32(self, node: Node) -> int:
        """A whole number that fits the wire."""
        value = int(self._constructed(node, "int", "uint32") or 0)
        if value not in range(_MAX_UINT32 + 1):
            self._mismatch(node, "uint32")
            return 0
        return value

    def _constructed(self, node: Node, tag: str, go_type: str) -> Any:
        if _is_null(node):
            return None
        if node.tag != _TAG_PREFIX + tag:
            self._mismatch(node, go_type)
            return None
        return self._loader.construct_object(node)

    def list_of(self, item: Decoder[T], go_type: str) -> Decoder[list[T]]:
        """A decoder for a sequence."""

        def decode(node: Node) -> list[T]:
            if node.id != "sequence":
                self._unless_null(node, f"[]{go_type}")
                return []
            return [item(child) for child in node.value]

        return decode

    def map_of(self, value: Decoder[T], go_type: str) -> Decoder[dict[str, T]]:
        """A decoder for a mapping with free keys."""

        def decode(node: Node) -> dict[str, T]:
            pairs = self._pairs(node, f"map[string]{go_type}")
            return {key: value(child) for key, (_, child) in pairs.items()}

        return decode

    def struct(self, go_type: str, fields: Mapping[str, Decoder[Any]]) -> Decoder[dict[str, Any]]:
        """A decoder for a mapping with known keys; those absent are left out."""

        def decode(node: Node) -> dict[str, Any]:
            decoded = {}
            for key, (key_node, child) in self._pairs(node, go_type).items():
                if key in fields:
                    decoded[key] = fields[key](child)
                else:
                    self._error(key_node, f"field {key} not found in type {go_type}")
            return decoded

        return decode

    def _pairs(self, node: Node, go_type: str) -> dict[str, tuple[Node, Node]]:
        if node.id != "mapping":
            self._unless_null(node, go_type)
            return {}
        pairs: dict[str, tuple[Node, Node]] = {}
        for key_node, child in node.value:
            key = self.string(key_node)
            if key in pairs:
                first = pairs[key][0].start_mark.line + 1
                self._error(key_node, f'mapping key "{key}" already defined at line {first}')
            pairs[key] = (key_node, child)
        return pairs

    def _unless_null(self, node: Node, go_type: str) -> None:
        if not _is_null(node):
            self._mismatch(node, go_type)

    def _mismatch(self, node: Node, go_type: str) -> None:
        kind = node.tag.replace(_TAG_PREFIX, "!!")
        shown = f" `{node.value}`" if node.id == "scalar" else ""
        self._error(node, f"cannot unmarshal {kind}{shown} into {go_type}")

    def _error(self, node: Node, message: str) -> None:
        self.errors.append(f"line {node.start_mark.line + 1}: {message}")


def _is_null(node: Node) -> bool:
    return bool(node.tag == f"{_TAG_PREFIX}null")
