"""The two wire dialects of the daemon: the messages that differ, and their codecs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._arguments.creates import NewSandbox
from ..models import SandboxHandle
from . import methods
from .codec import decode_sandbox_v02, decode_sandbox_v04
from .creates import encode_v02, encode_v04
from .releases import Release


class Dialect(NamedTuple):
    """The methods whose messages contain a create or a handle, and the codecs of these.

    Everything else is equal in both dialects, including event streams.
    """

    create_sandbox: methods.Method[Any, Any]
    get_sandbox: methods.Method[Any, Any]
    list_sandboxes: methods.Method[Any, Any]
    encode_create: Callable[[NewSandbox, Release], Any]
    decode_sandbox: Callable[[Any], SandboxHandle]


_V02 = Dialect(
    methods.CREATE_SANDBOX,
    methods.GET_SANDBOX,
    methods.LIST_SANDBOXES,
    encode_v02,
    decode_sandbox_v02,
)
_V04 = Dialect(
    methods.CREATE_SANDBOX_V04,
    methods.GET_SANDBOX_V04,
    methods.LIST_SANDBOXES_V04,
    encode_v04,
    decode_sandbox_v04,
)


def dialect_of(release: Release) -> Dialect:
    """The dialect that a release speaks."""
    return _V04 if release.has_companions else _V02
