"""What the recorder hears of calls: which sandboxes and commands there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from ..._shared.helpers import is_for_files, killed_exec, stdin_of, without_stdin
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
    env: Mapping[str, str] = field(repr=False)
    input: bytes | None
    """What it gets on stdin; None: commands for files bring it."""
    logs: tuple[str, str] | None = None
    """The paths of stdout and stderr; None: no answer has named them."""


@dataclass
class Observer:
    """Everything that was heard, in order; use it in one thread."""

    sandboxes: dict[str, HeardSandbox] = field(default_factory=dict)
    execs: dict[str, HeardExec] = field(default_factory=dict)
    ended_by_client: set[str] = field(default_factory=set)
    """The execs that a client cancelled or killed."""
    error: Exception | None = None
    """What went wrong while it listened; the calls passed all the same."""

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
            heard = self._sandbox(sandbox_id)
            # The daemon may refuse it, because there is one of that name.
            if answer is not None or heard.request is None:
                heard.request = data
            heard.is_known |= answer is not None

    def _sandbox(self, sandbox_id: str) -> HeardSandbox:
        return self.sandboxes.setdefault(sandbox_id, HeardSandbox(sandbox_id))

    def _create_exec(self, data: bytes, answer: bytes | None) -> None:
        request = pb.CreateExecRequest.FromString(data)
        exec_id, logs = request.exec_id, None
        if answer is not None:
            response = pb.CreateExecResponse.FromString(answer)
            exec_id = response.exec_id
            if response.stdout_log_path:
                logs = response.stdout_log_path, response.stderr_log_path
        argv = tuple(request.command)
        if (killed := killed_exec(argv)) is not None:
            self.ended_by_client.add(killed)
        elif exec_id and argv and not is_for_files(argv):
            self._sandbox(request.sandbox_id).is_known |= answer is not None
            heard = HeardExec(
                request.sandbox_id,
                exec_id,
                without_stdin(argv),
                request.cwd,
                dict(request.env_overrides),
                _input_of(argv),
                logs,
            )
            # As for sandboxes.
            if answer is not None or exec_id not in self.execs:
                self.execs[exec_id] = heard

    def _cancel_exec(self, data: bytes, _: bytes | None) -> None:
        self.ended_by_client.add(pb.CancelExecRequest.FromString(data).exec_id)

    _LISTENERS = {  # noqa: RUF012 - a table, made once
        CREATE_SANDBOX.path: _create_sandbox,
        CREATE_EXEC.path: _create_exec,
        CANCEL_EXEC.path: _cancel_exec,
    }


def _input_of(argv: tuple[str, ...]) -> bytes | None:
    stdin = stdin_of(argv)
    if stdin is None:
        return b""
    try:
        return None if stdin.is_in_file else stdin.decoded()
    except ValueError:  # of another program that only looks like this SDK
        return None


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
            except Exception as error:  # noqa: BLE001 - the call must pass; reported at the end
                self._to.error = self._to.error or error
