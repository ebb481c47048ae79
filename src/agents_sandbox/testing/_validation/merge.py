"""Merges the `config_yaml` and the spec of a create that has both."""

from __future__ import annotations

from typing import Any

from .._protocol.spec import Spec


def merge(base: Spec, override: Spec, *, append_lists: bool) -> Spec:
    """Apply `override` on top of `base`; its empty values change nothing.

    Maps are merged key by key. A command is always replaced as a whole.

    Args:
        base: The spec from `config_yaml`.
        override: The request's own spec.
        append_lists: Whether lists of the override are appended to those of the base, with
            each builtin tool once; otherwise a list that is not empty replaces the base's.

    Returns:
        The merged spec.
    """
    merged: dict[str, Any] = {}
    for name, below in vars(base).items():
        above = getattr(override, name)
        if isinstance(below, dict):
            merged[name] = {**below, **above}
        elif name == "idle_ttl":  # zero is a value: it disables the idle stop
            merged[name] = below if above is None else above
        elif append_lists and isinstance(below, list) and name != "command":
            merged[name] = [*below, *above]
        else:
            merged[name] = above or below
    if append_lists:
        merged["builtin_tools"] = list(dict.fromkeys(merged["builtin_tools"]))
    return Spec(**merged)
