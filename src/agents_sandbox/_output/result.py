"""What `run` returns: how a command ended, with its output."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from .._arguments.creates import LogPaths
from .._enums import ExecState
from .._shared.shown import shortened, shown_id
from ..errors import ExecFailedError, OutputUnavailableError
from ..models import ExecHandle
from .log_file import read_end

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_OUTPUT_BYTES = 16 * 2**20
"""The default of `max_output_bytes`: 16 MiB of each stream."""

# Why a daemon reports no exit code of a process that may have run. Recorded; every other such error
# says why none was started.
_LOST = ("exec was running when daemon restarted", "No such container")

_CONTINUES = range(0x80, 0xC0)
"""The bytes of a character in UTF-8 after its first."""


class _Stream(NamedTuple):
    """One stream of output that was read, or why it was not."""

    data: bytes = b""
    truncated: bool = False
    trouble: OutputUnavailableError | None = None

    def read(self) -> bytes:
        if self.trouble is not None:
            # A copy: a raised error refers to the frames that it went through.
            raise copy.copy(self.trouble)
        return self.data

    def same(self, other: _Stream) -> bool:
        known = [(s.data, s.truncated, s.trouble and s.trouble.problem) for s in (self, other)]
        return known[0] == known[1]

    def text(self) -> str:
        data, begin = self.read(), 0
        if self.truncated:  # perhaps in the middle of a character, which has up to 4 bytes
            while begin < 3 and begin < len(data) and data[begin] in _CONTINUES:
                begin += 1
        return str(memoryview(data)[begin:], "utf-8", "replace")


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ExecResult(ExecHandle):
    """An exec that has ended, with its output.

    It is a handle with all its attributes, and takes its arguments, too. `dataclasses.asdict` and
    JSON have those of a handle alone, and `dataclasses.replace` makes a result without output.

    Args:
        stdout: The standard output; None: it was not captured.
        stderr: The standard error, likewise.
        stdout_truncated: Whether `stdout` lacks the beginning of the output.
        stderr_truncated: The same for `stderr`.
    """

    __slots__ = ("_stderr", "_stdout")
    __module__ = "agents_sandbox"

    if TYPE_CHECKING:  # or they would be fields
        _stdout: _Stream = field(init=False)
        _stderr: _Stream = field(init=False)

    def __init__(
        self,
        exec_id: str,
        sandbox_id: str,
        state: ExecState,
        command: tuple[str, ...],
        cwd: str,
        env_overrides: Mapping[str, str],
        exit_code: int | None = None,
        error: str | None = None,
        last_event_sequence: int = 0,
        stdout_log_path: str | None = None,
        stderr_log_path: str | None = None,
        *,
        stdout: str | bytes | None = None,
        stderr: str | bytes | None = None,
        stdout_truncated: bool = False,
        stderr_truncated: bool = False,
    ) -> None:
        super().__init__(
            exec_id,
            sandbox_id,
            state,
            command,
            cwd,
            env_overrides,
            exit_code,
            error,
            last_event_sequence,
            stdout_log_path,
            stderr_log_path,
        )
        self._set(_given(self, stdout, stdout_truncated), _given(self, stderr, stderr_truncated))

    # Libraries that read JSON call this in place of the constructor.
    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(_given(self, None, False), _given(self, None, False))

    def _set(self, stdout: _Stream, stderr: _Stream) -> None:
        object.__setattr__(self, "_stdout", stdout)
        object.__setattr__(self, "_stderr", stderr)

    # Also by the output; the hash, of the attributes of a handle, suffices.
    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__ or not isinstance(other, ExecResult):
            return NotImplemented
        mine, theirs = self._streams(), other._streams()
        return super().__eq__(other) and all(a.same(b) for a, b in zip(mine, theirs, strict=True))

    def __hash__(self) -> int:
        return super().__hash__()

    def __getstate__(self) -> list[Any]:
        return [tuple(getattr(self, item.name) for item in fields(self)), *self._streams()]

    def __setstate__(self, state: list[Any]) -> None:
        for item, value in zip(fields(self), state[0], strict=True):
            object.__setattr__(self, item.name, value)
        self._set(*state[1:])

    def _streams(self) -> tuple[_Stream, _Stream]:
        return self._stdout, self._stderr

    @property
    def stdout(self) -> str:
        """The standard output as text; bytes that are not UTF-8 are replaced by U+FFFD.

        It is decoded at each access.

        Raises:
            OutputUnavailableError: It cannot be read from here; `problem` says why.
        """
        return self._stdout.text()

    @property
    def stderr(self) -> str:
        """The standard error, likewise."""
        return self._stderr.text()

    @property
    def stdout_bytes(self) -> bytes:
        """The standard output, byte for byte; raises as `stdout` does."""
        return self._stdout.read()

    @property
    def stderr_bytes(self) -> bytes:
        """The standard error, byte for byte; raises as `stdout` does."""
        return self._stderr.read()

    @property
    def stdout_truncated(self) -> bool:
        """Whether the output was longer than `max_output_bytes`: only its end was kept."""
        return self._stdout.truncated

    @property
    def stderr_truncated(self) -> bool:
        """The same for the standard error."""
        return self._stderr.truncated

    def check(self) -> Self:
        """Return the result if the command exited with 0.

        Raises:
            ExecFailedError: It did not; has the result.
        """
        if self.state is ExecState.FINISHED:
            return self
        end = self.state.name if self.exit_code is None else f"exit code {self.exit_code}"
        reason = f": {shortened(self.error)}" if self.error and self.exit_code is None else ""
        raise ExecFailedError(
            self.exec_id,
            message=f"exec {shown_id(self.exec_id)} ended with {end}{reason}. Its output is in "
            "error.result",
            sandbox_id=self.sandbox_id,
            result=self,
        )


def _given(handle: ExecHandle, data: str | bytes | None, truncated: bool) -> _Stream:
    if data is None:
        trouble = OutputUnavailableError(
            handle.exec_id,
            message=f"this result of exec {shown_id(handle.exec_id)} was made without its output",
            problem="not_captured",
            sandbox_id=handle.sandbox_id,
        )
        return _Stream(trouble=trouble)
    return _Stream(data.encode() if isinstance(data, str) else data, truncated)


def read_result(
    handle: ExecHandle, logs: LogPaths | OutputUnavailableError, limit: int
) -> Generator[None, None, ExecResult]:
    """Read the output of an exec that has ended; yield between pieces, so that others have a turn.

    Args:
        handle: Its final snapshot.
        logs: Where its logs are, or why nobody can know.
        limit: How many bytes of each stream to keep, those at its end.
    """
    result = ExecResult(**{item.name: getattr(handle, item.name) for item in fields(handle)})
    streams = []
    for name in ("stdout", "stderr"):
        try:
            if isinstance(logs, OutputUnavailableError):
                raise copy.copy(logs)
            stream = _Stream(*(yield from read_end(getattr(logs, name), limit)))
        except OutputUnavailableError as trouble:
            stream = _unread(handle, trouble)
        streams.append(stream)
    result._set(*streams)  # noqa: SLF001 - it is ours, and nobody has it yet
    return result


def _unread(handle: ExecHandle, trouble: OutputUnavailableError) -> _Stream:
    if trouble.problem in ("missing", "no_log_root", "unknown_path") and _never_started(handle):
        return _Stream()
    trouble.exec_id, trouble.sandbox_id = handle.exec_id, handle.sandbox_id
    trouble.__traceback__ = trouble.__context__ = None  # they would keep frames alive
    return _Stream(trouble=trouble)


def _never_started(handle: ExecHandle) -> bool:
    if handle.state is not ExecState.FAILED or handle.exit_code is not None or not handle.error:
        return False
    return not any(text in handle.error for text in _LOST)
