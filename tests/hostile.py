"""Raw peers that listen in place of a daemon: they speak another protocol, or nonsense."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[socket.socket, threading.Event], None]
"""What a peer does with a connection; the event is set when the test ends."""


class _Listener:
    """Accepts connections, each in its own thread, until it is stopped."""

    def __init__(self, listener: socket.socket, behaviour: Behaviour) -> None:
        self._listener = listener
        self._behaviour = behaviour
        self._over = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def stop(self) -> None:
        self._over.set()
        _hang_up(self._listener)
        self._accepting.join()
        for connection in self._connections:
            _hang_up(connection)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                serving = threading.Thread(target=partial(self._serve, connection))
                self._connections.append(connection)
                self._threads.append(serving)
                serving.start()

    def _serve(self, connection: socket.socket) -> None:
        # The client may disconnect at any moment.
        with connection, suppress(OSError):
            self._behaviour(connection, self._over)


@contextmanager
def listening(path: Path, behaviour: Behaviour) -> Iterator[Path]:
    """Make a peer listen at a path while the block lasts.

    Args:
        path: The path of its socket.
        behaviour: What it does with a connection before it closes it.
    """
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen(64)
        listener = _Listener(bound, behaviour)
        try:
            yield path
        finally:
            listener.stop()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Accepts connections, and neither sends nor reads."""
    over.wait()


def closing(connection: socket.socket, over: threading.Event) -> None:
    """Accepts connections and closes them immediately."""


def http1(connection: socket.socket, over: threading.Event) -> None:
    """Speaks HTTP/1.1, as most web servers do."""
    connection.recv(1024)
    connection.sendall(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 11\r\nConnection: close\r\n\r\nBad Request"
    )


def noise(connection: socket.socket, over: threading.Event) -> None:
    """Sends meaningless bytes."""
    connection.sendall(bytes(range(255, -1, -1)) * 64)
    over.wait()


def dribbling(connection: socket.socket, over: threading.Event) -> None:
    """Speaks correct HTTP/2, but so slowly that it never completes an answer."""
    for byte in frame(SETTINGS) + frame(PING, payload=bytes(8)) * 1000:
        connection.sendall(bytes((byte,)))
        if over.wait(0.02):
            return


# Source: RFC 9113, sections 3.4, 4.1 and 6.
_PREFACE_BYTES, _HEADER_BYTES = 24, 9
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
_ACK = 1


def frame(
    kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0, length: int | None = None
) -> bytes:
    """Make an HTTP/2 frame.

    Args:
        kind: Its type.
        payload: Its content.
        flags: Its flags.
        stream: The stream that it belongs to; 0: the connection.
        length: The length in its header; None: the true one.
    """
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def http2(on_request: Callable[[int], bytes] = lambda stream: b"") -> Behaviour:
    """A peer that speaks HTTP/2 and only reads the stream ids of requests.

    Args:
        on_request: Returns what to send for a request, given its stream id; by default nothing,
            forever.
    """

    def behave(connection: socket.socket, over: threading.Event) -> None:
        with connection.makefile("rb") as incoming:
            incoming.read(_PREFACE_BYTES)
            connection.sendall(frame(SETTINGS))
            while header := incoming.read(_HEADER_BYTES):
                payload = incoming.read(int.from_bytes(header[:3], "big"))
                kind, flags, stream = header[3], header[4], int.from_bytes(header[5:], "big")
                if kind in (SETTINGS, PING) and not flags & _ACK:
                    echo = payload if kind == PING else b""
                    connection.sendall(frame(kind, echo, flags=_ACK))
                elif kind == HEADERS:
                    connection.sendall(on_request(stream))

    return behave


# These never answer.
SILENT_PEERS: dict[str, Behaviour] = {
    "silent": silent,
    "dribbling": dribbling,
    "zombie": http2(),
    "settings without end": http2(lambda stream: frame(SETTINGS) * 5000),
}

# These never stay connected for long.
LOST_PEERS: dict[str, Behaviour] = {
    "closing": closing,
    "http1": http1,
    "noise": noise,
    "going away": http2(lambda stream: frame(GOAWAY, bytes(8))),
    # Section 7 of the RFC: enhance your calm.
    "going away angrily": http2(lambda stream: frame(GOAWAY, bytes(7) + b"\x0b")),
}

# These send malformed answers.
BROKEN_PEERS: dict[str, Behaviour] = {
    "garbage frames": http2(lambda stream: b"\x00\x00\x05\x77" + b"\xff" * 96),
    "oversized frame": http2(lambda stream: frame(DATA, bytes(9), stream=stream, length=2**24 - 1)),
    "garbage headers": http2(lambda stream: frame(HEADERS, b"\xff" * 40, flags=4, stream=stream)),
    "no headers": http2(lambda stream: frame(DATA, bytes(5), flags=1, stream=stream)),
}


def resetting(code: int) -> Behaviour:
    """An HTTP/2 peer that ends every request with this error code."""
    return http2(lambda stream: frame(RST_STREAM, code.to_bytes(4, "big"), stream=stream))
