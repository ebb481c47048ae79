"""One client's gRPC channel and its streams."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from .._forks import MUTEX, keep_unfinalized
from .._rpc import CHANNEL_OPTIONS
from ..errors import ClientClosedError
from .waiting import Latch


class Channel:
    """One gRPC channel, opened by the first call. Threads may share it.

    Args:
        target: Returns the address; called when the channel is opened.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._channel: grpc.Channel | None = None
        self._process = os.getpid()
        self._closed = False
        self._closing = Latch()

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Send one request and return the answer; raise `grpc.RpcError` if the call fails."""
        with self.report_closing():
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._open().unary_unary(path)
            if threading.current_thread() is not threading.main_thread():
                return method(request, timeout=timeout)
            # Ctrl-C reaches only the main thread, and would leave a plain call running.
            call = method.future(request, timeout=timeout)
            try:
                return call.result()
            finally:
                call.cancel()  # no effect if the call has ended

    def stream(self, path: str, request: bytes, timeout: float | None) -> Stream:
        """Send one request and return the stream of answers."""
        with self.report_closing():
            channel = _below_interceptors(self._open())
            method: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            call = method(request, timeout=timeout)
            try:
                return Stream(self, call, iter(call))
            except BaseException:  # Ctrl-C before the Stream that would cancel the call exists
                call.cancel()
                raise

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def pause(self, seconds: float) -> None:
        """Wait for the given time, or until the channel is closed."""
        self._closing.wait(seconds)

    def close(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        with MUTEX:
            self._closed = True
            channel = self._channel
        self._closing.open()
        if channel is not None:
            self._close(channel)
            self._channel = None  # last, so that an interrupted close can be repeated

    def _open(self) -> grpc.Channel:
        with MUTEX:
            if self._closed:
                raise ClientClosedError("the client is closed: create a new one")
            if self._channel is not None and self._process != os.getpid():
                keep_unfinalized(self._channel)
                self._channel = None
            if self._channel is None:
                self._process = os.getpid()
                self._channel = grpc.insecure_channel(self._target(), options=CHANNEL_OPTIONS)
            return self._channel

    def _close(self, channel: grpc.Channel) -> None:
        if self._process == os.getpid():
            channel.close()
        else:
            keep_unfinalized(channel)

    @contextmanager
    def report_closing(self) -> Iterator[None]:
        """Raise `ClientClosedError` if a call ended because the channel was closed.

        gRPC ends calls in progress with CANCELLED, and raises ValueError for a call that begins
        while another thread closes the channel.
        """
        try:
            yield
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError):
            if self._closed:
                raise ClientClosedError("the client was closed during the call") from None
            raise

    def __del__(self) -> None:
        if self._channel is not None and self._process == os.getpid():
            warnings.warn(
                "a SyncAgentsSandboxClient was not closed: use with, or call close()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


# Tracing libraries put interceptors around every new channel. OpenTelemetry's turn the call of a
# stream into a generator. Nothing can cancel that while another thread reads it, and its span would
# belong to whichever wait opened the stream for all.
def _below_interceptors(channel: Any) -> grpc.Channel:
    """Return the channel of gRPC itself, for calls that must be real ones."""
    while hasattr(channel, "_interceptor"):
        channel = channel._channel  # noqa: SLF001 - the name in gRPC's and OpenTelemetry's class
    plain: grpc.Channel = channel
    return plain


class Stream:
    """The answers to one streaming call. The code that opens a stream must cancel it."""

    def __init__(self, channel: Channel, call: grpc.Call, answers: Iterator[bytes]) -> None:
        self._channel = channel
        self._call = call
        self._answers = answers
        self._cancelled = False
        self._process = os.getpid()

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it can never be read again."""
        return self._process == os.getpid()

    def read(self) -> bytes | None:
        """Return the next answer; None if the peer ended the stream or we cancelled it."""
        try:
            with self._channel.report_closing():
                return next(self._answers, None)
        except grpc.RpcError:
            if self._cancelled:
                return None
            raise

    def cancel(self) -> None:
        """Cancel the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        if self._process == os.getpid():
            self._call.cancel()
        else:
            keep_unfinalized((self._call, self._answers))  # only the parent may cancel it

    # gRPC's own thread refers to the call, so it would continue forever.
    def __del__(self) -> None:
        if hasattr(self, "_process"):  # not set if Ctrl-C interrupted the constructor
            self.cancel()
