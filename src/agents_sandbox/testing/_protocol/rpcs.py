"""The RPCs by plain name, such as `GetSandbox`."""

from __future__ import annotations

from ..._shared.shown import shown
from ..._wire.methods import METHODS_V02

STREAMS = {method.name: method.streams for method in METHODS_V02}
"""Whether each RPC is a stream, by plain name."""


def check_method(method: str) -> None:
    """Check the plain name of an RPC.

    Raises:
        ValueError: There is no such RPC.
    """
    if method not in STREAMS:
        raise ValueError(f"{shown(method)} is not one of the RPCs: {', '.join(STREAMS)}")
