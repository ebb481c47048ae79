"""The output of a running command, as it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from ... import _copies, _deadline
from ..._aio import TimedLock, public
from ..._connection.rpc import concerning
from ..._deadline import Deadline
from ..._output.chunk import OutputChunk
from ..._output.tail import Tails
from ...errors import SandboxClientError
from .._waits import ExecWait
from .execution import Execution

if TYPE_CHECKING:
    from typing_extensions import Self


class ExecOutput(AsyncIterator[OutputChunk]):
    """The output of one command as it is written, in chunks of at most 64 KiB.

    Each stream is in order and complete. There is no order between the two streams: the daemon
    writes each to a file of its own.

    It reads when it is asked for the next chunk, so a slow reader holds nobody up. It ends after
    the end of the command, when everything written until then was delivered. After an interrupted
    step, the next one continues after the last delivered chunk, so nothing is lost. The one
    exception is Ctrl-C in the moment in which a step hands its chunk over: `offsets` may count that
    chunk already.

    Made by the `output()` of a process.
    """

    __module__ = "agents_sandbox"

    def __init__(self, execution: Execution, tails: Tails) -> None:
        self._execution = execution
        self._tails = tails
        self._wait: ExecWait | None = None
        self._command_ended = False
        self._closed = False
        self._pause = 0.0
        # Concurrent steps take turns; each gets one chunk.
        self._turn = TimedLock()

    def __reduce__(self) -> NoReturn:
        advice = "read from output(from_offsets=), its offsets"
        _copies.refuse_copy(self, advice)

    @property
    def offsets(self) -> dict[str, int]:
        """Where each stream continues after the last delivered chunk, in bytes.

        Another `output(from_offsets=)` continues there.
        """
        return self._tails.offsets

    def __aiter__(self) -> Self:
        return self

    @public
    async def __anext__(self) -> OutputChunk:
        async with self._turn.held(None):
            try:
                with concerning(self._execution.sandbox_id, self._execution.exec_id):
                    chunk = await self._next()
            except SandboxClientError:
                self._close()
                raise
            if chunk is not None:
                before = self._tails.positions
                try:
                    self._tails.deliver(chunk)
                    return chunk  # noqa: TRY300 - an interruption can come between the two
                except BaseException:  # in the blocking flavour, it can come at any line
                    self._tails.go_back(before)
                    raise
            self._close()
            raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop reading and close the files. The command continues. Safe to repeat.

        It waits for a step in progress, which then ends the iteration: for half a second, or for
        as long as the start of the command and an answer of the daemon take.
        """
        self._closed = True
        try:
            async with self._turn.held(None):
                self._close()
        finally:
            self._close()  # an interruption can come at any line

    async def _next(self) -> OutputChunk | None:
        while not self._closed:
            if not self._command_ended:
                # Before the read: if it is interrupted, no chunk is lost. And also while there is
                # output: a command that was cancelled may write for ever.
                await self._look(Deadline(self._pause))
            chunk = None if self._closed else self._tails.read(self._execution.located())
            if chunk is not None:
                self._pause = 0.0
                return chunk
            if self._command_ended:
                return None
            longer = max(2 * self._pause, _deadline.SHORTEST_PAUSE_SECONDS)
            self._pause = min(longer, _deadline.LONGEST_PAUSE_SECONDS)
        return None

    async def _look(self, until: Deadline) -> None:
        """Wait for the end of the command, but not longer than needed for the next look."""
        wait = self._wait
        if wait is None:
            handle = await self._execution.begin()
            wait = self._execution.wait()
            wait.begin(handle)
            wait.leave_with(self)
            self._wait = wait
        ended = await wait.step(until)
        if ended is not None:
            self._execution.see(ended)
            self._tails.end(self._execution.located())
            self._command_ended = True
            wait.leave()

    def _close(self) -> None:
        self._closed = True
        if self._wait is not None:
            self._wait.leave()
        self._tails.close()
