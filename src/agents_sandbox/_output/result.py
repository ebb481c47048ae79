"""What `run` returns: how a command ended, with its output."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from .._enums import ExecState
from .._shared.shown import shown_id
from ..errors import ExecFailedError, OutputUnavailableError
from ..models import ExecHandle
from .log_file import read_end

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_OUTPUT_BYTES = 16 * 2**20
"""The default of `max_output_bytes`: 16 MiB of each stream."""


@dataclass(frozen=True)
class _Stream:
    """One stream of output that was read, or why it was not."""

    data: bytes = b""
    truncated: bool = False
    trouble: OutputUnavailableError | None = None

    def bytes(self) -> bytes:
        if self.trouble is not None:
            # A copy: a raised error refers to the frames that it went through.
            raise copy.copy(self.trouble)
        return self.data


class ExecResult(ExecHandle):
    """An exec that has ended, with its output.

    It is a handle with all its attributes. `dataclasses.asdict` and JSON have those of a handle
    alone, and `dataclasses.replace` makes a result without output.

    Args:
        stdout: The standard output; None: it was not captured.
        stderr: The standard error, likewise.
        stdout_truncated: Whether `stdout` lacks the beginning of the output.
        stderr_truncated: The same for `stderr`.
        The others: as in `ExecHandle`.
    """

    __slots__ = ("_stderr", "_stdout")
    __module__ = "agents_sandbox"

    _stdout: _Stream
    _stderr: _Stream

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
        self._set(
            _given(exec_id, stdout, stdout_truncated), _given(exec_id, stderr, stderr_truncated)
        )

    @classmethod
    def read(cls, handle: ExecHandle, limit: int) -> Self:
        """Make the result of an exec that has ended: read up to `limit` bytes of each log."""
        result = cls(**{field.name: getattr(handle, field.name) for field in fields(handle)})
        result._set(
            _read(handle, handle.stdout_log_path, limit),
            _read(handle, handle.stderr_log_path, limit),
        )
        return result

    def _set(self, stdout: _Stream, stderr: _Stream) -> None:
        object.__setattr__(self, "_stdout", stdout)
        object.__setattr__(self, "_stderr", stderr)

    def __getstate__(self) -> list[Any]:
        return [tuple(getattr(self, field.name) for field in fields(self)), *self._streams()]

    def __setstate__(self, state: list[Any]) -> None:
        for field, value in zip(fields(self), state[0], strict=True):
            object.__setattr__(self, field.name, value)
        self._set(*state[1:])

    def _streams(self) -> tuple[_Stream, _Stream]:
        return self._stdout, self._stderr

    @property
    def stdout(self) -> str:
        """The standard output as text; bytes that are not UTF-8 are replaced by U+FFFD.

        Raises:
            OutputUnavailableError: It cannot be read from here; `problem` says why.
        """
        return self._stdout.bytes().decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """The standard error, likewise."""
        return self._stderr.bytes().decode("utf-8", "replace")

    @property
    def stdout_bytes(self) -> bytes:
        """The standard output, byte for byte; raises as `stdout` does."""
        return self._stdout.bytes()

    @property
    def stderr_bytes(self) -> bytes:
        """The standard error, byte for byte; raises as `stdout` does."""
        return self._stderr.bytes()

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
        reason = f": {self.error}" if self.error and self.exit_code is None else ""
        raise ExecFailedError(
            self.exec_id,
            message=f"exec {shown_id(self.exec_id)} ended with {end}{reason}. Its output is in "
            "error.result",
            sandbox_id=self.sandbox_id,
            result=self,
        )


def _given(exec_id: str, data: str | bytes | None, truncated: bool) -> _Stream:
    if data is None:
        trouble = OutputUnavailableError(
            exec_id,
            message=f"this result of exec {shown_id(exec_id)} was made without its output",
            problem="not_captured",
        )
        return _Stream(trouble=trouble)
    return _Stream(data.encode() if isinstance(data, str) else data, truncated)


def _read(handle: ExecHandle, path: str | None, limit: int) -> _Stream:
    try:
        return _Stream(*read_end(path, limit))
    except OutputUnavailableError as trouble:
        if trouble.problem == "missing" and handle.exit_code is None:
            return _Stream()  # no process was started: `error` says why
        trouble.exec_id, trouble.sandbox_id = handle.exec_id, handle.sandbox_id
        trouble.__traceback__ = None
        return _Stream(trouble=trouble)
