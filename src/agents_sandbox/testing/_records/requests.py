"""Recorded requests in the client's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._frozen import FrozenMapping
from ..._shared.shown import OneLineRepr
from ..._wire import v02_pb2 as pb
from ..._wire import v04_pb2 as v04
from .._protocol.dialect import DIALECT_02, DIALECT_04, FIELDS_SINCE_04
from .specs import SandboxSpec, shown_spec


@dataclass(frozen=True, repr=False)
class CreateSandboxRequest(OneLineRepr):
    """A recorded `CreateSandbox`.

    Attributes:
        create_spec: The arguments of `create_sandbox()`, without what `config_yaml` has.
        sandbox_id: The requested id; empty: the daemon chooses one.
        config_yaml: The YAML document; empty: none.
    """

    create_spec: SandboxSpec
    sandbox_id: str = ""
    config_yaml: bytes = b""


@dataclass(frozen=True, repr=False)
class CreateExecRequest(OneLineRepr):
    """A recorded `CreateExec`.

    Attributes:
        sandbox_id: The sandbox.
        command: The argv.
        cwd: The working directory; empty: the container's own.
        env_overrides: The variables of the exec.
        exec_id: The requested id; empty: the daemon chooses one.
    """

    sandbox_id: str
    command: tuple[str, ...]
    cwd: str = ""
    env_overrides: Mapping[str, str] = field(default_factory=FrozenMapping)
    exec_id: str = ""


def shown_request(message: Any) -> Any:
    """Convert a request that has a type of its own; return others as they are."""
    if isinstance(message, (pb.CreateSandboxRequest, v04.CreateSandboxRequest)):
        is_newer = isinstance(message, v04.CreateSandboxRequest)
        dialect = DIALECT_04 if is_newer else DIALECT_02
        spec = dialect.decode_spec(message.create_spec, FIELDS_SINCE_04)
        return CreateSandboxRequest(shown_spec(spec), message.sandbox_id, message.config_yaml)
    if isinstance(message, pb.CreateExecRequest):
        return CreateExecRequest(
            message.sandbox_id,
            tuple(message.command),
            message.cwd,
            FrozenMapping(message.env_overrides),
            message.exec_id,
        )
    return message
