"""The blocking half of the primitive pair; `_aio` is the other.

All that differs between the flavours is here, under the same names with the
same contracts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from ._rpc import CHANNEL_OPTIONS
from .errors import ClientClosedError


class Channel:
    """One gRPC channel, opened by the first call. May be shared by threads.

    Args:
        target: Gives the address; asked when the channel is opened.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._channel: grpc.Channel | None = None
        self._lock = threading.Lock()
        self._closed = False

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Send one request and return the answer; raises `grpc.RpcError`."""
        with self.closing_is_not_cancelling():
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._open().unary_unary(path)
            return method(request, timeout=timeout)

    def stream(self, path: str, request: bytes, timeout: float | None) -> Stream:
        """Send one request and return the stream of answers."""
        with self.closing_is_not_cancelling():
            method: grpc.UnaryStreamMultiCallable[bytes, bytes] = self._open().unary_stream(path)
            call = method(request, timeout=timeout)
            return Stream(self, call, iter(call))

    def close(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _open(self) -> grpc.Channel:
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed: make a new one")
            if self._channel is None:
                self._channel = grpc.insecure_channel(self._target(), options=CHANNEL_OPTIONS)
            return self._channel

    @contextmanager
    def closing_is_not_cancelling(self) -> Iterator[None]:
        """Tell a call that ended with the channel from one that failed.

        gRPC says CANCELLED to calls under way, and ValueError to one that
        begins while another thread closes.
        """
        try:
            yield
        except (grpc.RpcError, ValueError) as error:
            if self._closed:
                raise ClientClosedError("the client was closed during the call") from error
            raise


class Stream:
    """The answers to one streaming call. Whoever opens one cancels it."""

    def __init__(self, channel: Channel, call: grpc.Call, answers: Iterator[bytes]) -> None:
        self._channel = channel
        self._call = call
        self._answers = answers
        self._cancelled = False

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it is gone for good."""
        return True

    def read(self) -> bytes | None:
        """Return the next answer; None after the peer's end or our own cancel."""
        try:
            with self._channel.closing_is_not_cancelling():
                return next(self._answers, None)
        except grpc.RpcError:
            if self._cancelled:
                return None
            raise

    def cancel(self) -> None:
        """End the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        self._call.cancel()

    # gRPC's call is held by a thread of its own and would live on for ever.
    def __del__(self) -> None:
        self.cancel()


Lock = threading.Lock
"""Lets one in at a time: `with Lock():`."""


class TimedLock:
    """Lets one in at a time, and nobody wait for too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def held(self, timeout: float | None) -> Iterator[bool]:
        """Hold the lock, or do not (False) if that would take longer than `timeout` seconds."""
        entered = self._lock.acquire(timeout=-1 if timeout is None else timeout)
        try:
            yield entered
        finally:
            if entered:
                self._lock.release()


def sleep(seconds: float) -> None:
    """Let the given time pass."""
    time.sleep(seconds)
