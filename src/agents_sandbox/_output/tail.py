"""Reads the logs of a running command from given offsets, piece by piece; it never waits."""

from __future__ import annotations

from codecs import utf_8_decode
from collections import deque
from collections.abc import Mapping

from ..errors import OutputUnavailableError
from ..models import ExecHandle
from .chunk import OutputChunk, StreamName
from .log_file import LogFile

CHUNK_BYTES = 2**16
"""The most bytes of a chunk: 64 KiB."""

_LONGEST_REST = 3
"""The most bytes of an incomplete character in UTF-8."""


class Tails:
    """The streams of one command, in turns. There is no order between what they contain.

    Close it, or drop it.

    Args:
        offsets: The streams to read, and where to begin in each, in bytes.
    """

    def __init__(self, offsets: Mapping[str, int]) -> None:
        self._tails = deque(_Tail(stream, offset) for stream, offset in offsets.items())

    @property
    def offsets(self) -> dict[str, int]:
        """Where each stream continues after the chunks that were delivered."""
        return {tail.stream: tail.offset for tail in self._tails}

    @property
    def positions(self) -> dict[str, tuple[int, bytes]]:
        """Where each stream stands, for `go_back`."""
        return {tail.stream: tail.position for tail in self._tails}

    def go_back(self, positions: Mapping[str, tuple[int, bytes]]) -> None:
        """Undo what was delivered since."""
        for tail in self._tails:
            tail.position = positions[tail.stream]

    def read(self, handle: ExecHandle) -> OutputChunk | None:
        """Return the next chunk; None if there is none at present, or after `end` none any more.

        It returns the same one until that is delivered.

        Raises:
            OutputUnavailableError: A log cannot be read; `problem` says why.
        """
        chunks = (tail.read(handle) for tail in self._tails)
        return next((chunk for chunk in chunks if chunk is not None), None)

    def deliver(self, chunk: OutputChunk) -> None:
        """Note that a chunk reaches the caller now."""
        while self._tails[0].stream != chunk.stream:
            self._tails.rotate()
        self._tails[0].deliver(chunk)
        self._tails.rotate(-1)  # the other stream comes first now

    def end(self, handle: ExecHandle) -> None:
        """Note that the command has ended: what is written from now on is not its output.

        Raises:
            OutputUnavailableError: A log cannot be read; `problem` says why.
        """
        for tail in self._tails:
            tail.end(handle)

    def close(self) -> None:
        """Close the files. Safe to repeat."""
        for tail in self._tails:
            tail.close()


class _Tail:
    """One stream from an offset on."""

    def __init__(self, stream: str, offset: int) -> None:
        self.stream: StreamName = "stdout" if stream == "stdout" else "stderr"
        # The offset, and the rest of a character that began in a chunk before.
        self.position = offset, b""
        self._log: LogFile | None = None
        self._size: int | None = None  # once the command has ended

    @property
    def offset(self) -> int:
        return self.position[0]

    def read(self, handle: ExecHandle) -> OutputChunk | None:
        log = self._log or self._opened(handle)
        if log is None:
            return None
        left = CHUNK_BYTES if self._size is None else min(CHUNK_BYTES, self._size - self.offset)
        data = log.read(self.offset, left) if left > 0 else b""
        if not data and (self._size is None or not self.position[1]):
            return None
        text, _ = self._decoded(data)
        return OutputChunk(self.stream, data, self.offset, text)

    def deliver(self, chunk: OutputChunk) -> None:
        _, rest = self._decoded(chunk.data)
        self.position = chunk.offset + len(chunk.data), rest

    def end(self, handle: ExecHandle) -> None:
        log = self._log or self._opened(handle)
        self._size = 0 if log is None else log.size()

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _decoded(self, data: bytes) -> tuple[str, bytes]:
        """Decode what comes next; return the text, and the beginning of an incomplete character."""
        end = self.offset + len(data)
        final = self._size is not None and (not data or end >= self._size)
        encoded = self.position[1] + data
        text, used = utf_8_decode(encoded, "replace", final)
        return text, encoded[used:]

    def _opened(self, handle: ExecHandle) -> LogFile | None:
        path = handle.stdout_log_path if self.stream == "stdout" else handle.stderr_log_path
        try:
            log = LogFile(path)
        except OutputUnavailableError as error:
            # The file appears when the process starts. `error` of the handle says why none did.
            if error.problem == "missing" and handle.exit_code is None:
                return None
            raise
        # A reader before us has not delivered the character that continues here.
        begin = max(0, self.offset - _LONGEST_REST)
        before = log.read(begin, self.offset - begin) if self.offset else b""
        _, used = utf_8_decode(before, "replace", False)
        self._log, self.position = log, (self.offset, before[used:])
        return log
