"""What the recorder hears of calls: which sandboxes and commands there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from ..._shared.helpers import is_for_files, killed_exec, without_stdin
from ..._wire import v02_pb2 as pb
from ..._wire import v04_pb2 as v04
from ..._wire.methods import CANCEL_EXEC, CREATE_EXEC, CREATE_SANDBOX

MessageT = TypeVar("MessageT", bound=Message)


@dataclass
class HeardSandbox:
    """A sandbox that a client asked for, or used."""

    id: str
    request: bytes | None = None
    """That of its create; None: none passed."""
    is_known: bool = False
    """Whether the daemon has confirmed it."""


@dataclass(frozen=True)
class HeardExec:
    """A command that a client asked for."""

    sandbox_id: str
    id: str
    argv: tuple[str, ...]
    cwd: str
    env: tuple[str, ...]
    """The names of its variables, sorted."""


@dataclass
class Observer:
    """Everything that was heard, in order; use it in one thread."""

    sandboxes: dict[str, HeardSandbox] = field(default_factory=dict)
    execs: dict[str, HeardExec] = field(default_factory=dict)
    ended_by_client: set[str] = field(default_factory=set)
    """The execs that a client cancelled or killed."""
    log_root: Path | None = None
    """The folder of all logs; None: the daemon has named none."""

    def begin(self, path: str) -> Heard:
        """Return what listens to a call."""
        return Heard(self._LISTENERS.get(path), self)

    def _create_sandbox(self, data: bytes, answer: bytes | None) -> None:
        request = _decoded(pb.CreateSandboxRequest, v04.CreateSandboxRequest)(data)
        sandbox_id = request.sandbox_id
        if answer is not None:
            decode = _decoded(v04.CreateSandboxResponse, pb.CreateSandboxResponse)
            sandbox_id = decode(answer).sandbox.sandbox_id
        if sandbox_id:
            heard = self.sandboxes.setdefault(sandbox_id, HeardSandbox(sandbox_id))
            heard.request = data
            heard.is_known |= answer is not None

    def _create_exec(self, data: bytes, answer: bytes | None) -> None:
        request = pb.CreateExecRequest.FromString(data)
        exec_id = request.exec_id
        if answer is not None:
            response = pb.CreateExecResponse.FromString(answer)
            exec_id = response.exec_id
            if response.stdout_log_path:
                self.log_root = Path(response.stdout_log_path).parents[1]
        argv = tuple(request.command)
        if (killed := killed_exec(argv)) is not None:
            self.ended_by_client.add(killed)
        elif exec_id and argv and not is_for_files(argv):
            self.sandboxes.setdefault(request.sandbox_id, HeardSandbox(request.sandbox_id))
            env = tuple(sorted(request.env_overrides))
            self.execs[exec_id] = HeardExec(
                request.sandbox_id, exec_id, without_stdin(argv), request.cwd, env
            )

    def _cancel_exec(self, data: bytes, _: bytes | None) -> None:
        self.ended_by_client.add(pb.CancelExecRequest.FromString(data).exec_id)

    _LISTENERS = {  # noqa: RUF012 - a table, made once
        CREATE_SANDBOX.path: _create_sandbox,
        CREATE_EXEC.path: _create_exec,
        CANCEL_EXEC.path: _cancel_exec,
    }


def _decoded(*types: type[MessageT]) -> Callable[[bytes], Any]:
    """Return what decodes a message of either dialect; the fields that are read are the same."""

    def decode(data: bytes) -> Any:
        *others, last = types
        for kind in others:
            try:
                return kind.FromString(data)
            except (DecodeError, UnicodeDecodeError):
                continue
        return last.FromString(data)

    return decode


class Heard:
    """Listens to one call; what it cannot decode is not for it."""

    def __init__(self, listen: Callable[[Any, bytes, bytes | None], None] | None, to: Observer):
        self._listen = listen
        self._to = to
        self._request = b""

    def request(self, data: bytes) -> None:
        """Hear a request."""
        self._request = data
        self._tell(None)

    def answer(self, data: bytes) -> None:
        """Hear an answer."""
        self._tell(data)

    def _tell(self, answer: bytes | None) -> None:
        if self._listen is not None:
            try:
                self._listen(self._to, self._request, answer)
            except (DecodeError, UnicodeDecodeError):
                return
