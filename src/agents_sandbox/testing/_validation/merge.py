"""What becomes of a create that brings both a `config_yaml` and a spec."""

from __future__ import annotations

from typing import Any

from .._protocol.spec import Spec


def merge(base: Spec, override: Spec, *, append_lists: bool) -> Spec:
    """Put `override` on top of `base`; nothing can be emptied this way.

    Maps are joined key by key. A command is always replaced as a whole.

    Args:
        base: What `config_yaml` says.
        override: The request's own spec; what it leaves empty comes from the base.
        append_lists: Whether lists of the override go after those of the base, each
            builtin tool once; else a list that is not empty replaces the other.

    Returns:
        The merged spec.
    """
    merged: dict[str, Any] = {}
    for name, below in vars(base).items():
        above = getattr(override, name)
        if isinstance(below, dict):
            merged[name] = {**below, **above}
        elif name == "idle_ttl":  # zero is a value: it switches the idle stop off
            merged[name] = below if above is None else above
        elif append_lists and isinstance(below, list) and name != "command":
            merged[name] = [*below, *above]
        else:
            merged[name] = above or below
    if append_lists:
        merged["builtin_tools"] = list(dict.fromkeys(merged["builtin_tools"]))
    return Spec(**merged)
