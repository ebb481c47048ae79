"""A cassette as JSON that people can review, with large outputs in files beside it; pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..._shared.shown import shown
from .cassette import Cassette, RecordedSandbox, Take, exec_name, sandbox_name

VERSION = 1
LARGE = 16 * 1024
"""Bytes; a longer output has a file of its own."""
_LONGEST = 1e9
"""Seconds; no command takes as long."""


@dataclass(frozen=True)
class Encoded:
    """The files of a cassette."""

    text: str
    """The cassette itself."""
    files: Mapping[str, bytes]
    """Those beside it, by name."""


def encode(cassette: Cassette, name: str) -> Encoded:
    """Encode a cassette.

    Args:
        cassette: The cassette.
        name: That of its file, with which the names of those beside it begin.
    """
    files: dict[str, bytes] = {}
    sandboxes = [
        _encode_sandbox(sandbox_name(index), sandbox, name, files)
        for index, sandbox in enumerate(cassette.sandboxes)
    ]
    tree = {"version": VERSION, "daemon": cassette.daemon, "sandboxes": sandboxes}
    return Encoded(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", files)


def _encode_sandbox(
    name: str, sandbox: RecordedSandbox, cassette_name: str, files: dict[str, bytes]
) -> dict[str, Any]:
    def encode_take(index: int, take: Take) -> dict[str, Any]:
        def encode_stream(stream: str, data: bytes | None) -> Any:
            if data is None or len(data) <= LARGE:
                return _encode_data(data)
            # Its contents never change: an old cassette keeps its files until a new one is there.
            digest = hashlib.sha256(data).hexdigest()[:12]
            file = f"{cassette_name}.{name}.{exec_name(index)}.{digest}.{stream}"
            files[file] = data
            return {"file": file}

        return {
            "id": exec_name(index),
            "argv": list(take.argv),
            "cwd": take.cwd,
            "env": list(take.env),
            "input": encode_stream("input", take.input),
            "stdout": encode_stream("stdout", take.stdout),
            "stderr": encode_stream("stderr", take.stderr),
            "exit_code": take.exit_code,
            "error": take.error,
            "seconds": take.seconds,
        }

    return {
        "id": name,
        "image": sandbox.image,
        "spec": dict(sandbox.spec),
        "execs": [encode_take(index, take) for index, take in enumerate(sandbox.takes)],
        "events": list(sandbox.events),
    }


def _encode_data(data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    lines = lines if lines[-1] else lines[:-1]
    return lines if len(lines) > 1 else text


def decode(text: str, read: Callable[[str], bytes]) -> Cassette:
    """Decode a cassette.

    Args:
        text: The cassette.
        read: Reads a file beside it.

    Raises:
        ValueError: It is no cassette, or one of another version.
    """
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    version = _get(tree, "version", int)
    if version != VERSION:
        raise ValueError(
            f"it has version {shown(version)}, and this SDK reads version {VERSION}: record it "
            "again"
        )
    sandboxes = [_decode_sandbox(item, read) for item in _get(tree, "sandboxes", list)]
    return Cassette(_get(tree, "daemon", str), tuple(sandboxes))


def _decode_sandbox(tree: Any, read: Callable[[str], bytes]) -> RecordedSandbox:
    return RecordedSandbox(
        image=_get(tree, "image", str),
        spec=_get(tree, "spec", dict),
        takes=tuple(_decode_take(item, read) for item in _get(tree, "execs", list)),
        events=_texts(tree, "events"),
    )


def _decode_take(tree: Any, read: Callable[[str], bytes]) -> Take:
    seconds = _get(tree, "seconds", (int, float))
    if not 0 <= seconds < _LONGEST:
        _refuse("seconds", seconds)
    exit_code = _get(tree, "exit_code", (int, type(None)))
    if exit_code is not None and exit_code not in range(256):
        _refuse("exit_code", exit_code)
    argv = _texts(tree, "argv")
    if not argv:
        _refuse("argv", argv)
    return Take(
        argv=argv,
        cwd=_get(tree, "cwd", str),
        env=_texts(tree, "env"),
        input=_decode_data(tree, "input", read),
        stdout=_decode_data(tree, "stdout", read),
        stderr=_decode_data(tree, "stderr", read),
        exit_code=exit_code,
        error=_get(tree, "error", str),
        seconds=float(seconds),
    )


def _decode_data(tree: Any, key: str, read: Callable[[str], bytes]) -> bytes | None:
    match _get(tree, key, object):
        case None:
            return None
        case str(text):
            return text.encode()
        case list():
            return "".join(_texts(tree, key)).encode()
        case {"base64": str(text)}:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise ValueError(f"{key} is no base64: {error}") from None
        case {"file": str(name)}:
            if "/" in name or "\0" in name or name in ("", ".", ".."):
                _refuse(f"the file of {key}", name)
            return read(name)
        case other:
            raise _wrong(key, other)


def _texts(tree: Any, key: str) -> tuple[str, ...]:
    items = _get(tree, key, list)
    for item in items:
        _check(key, item, str)
    return tuple(items)


def _get(tree: Any, key: str, kind: Any) -> Any:
    if not isinstance(tree, dict) or key not in tree:
        raise ValueError(f"{key} is missing")
    _check(key, tree[key], kind)
    return tree[key]


def _check(key: str, value: object, kind: Any) -> None:
    if not isinstance(value, kind) or (kind is not object and isinstance(value, bool)):
        _refuse(key, value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:  # JSON can have half a character
            raise ValueError(f"{key} is no text: {error}") from None


def _refuse(key: str, value: object) -> NoReturn:
    raise _wrong(key, value)


def _wrong(key: str, value: object) -> ValueError:
    return ValueError(f"{key} is wrong: {shown(value)}")


def file_names(tree: Any) -> Iterator[str]:
    """Yield the names of the files that a cassette refers to."""
    if isinstance(tree, dict):
        if isinstance(name := tree.get("file"), str):
            yield name
        for value in tree.values():
            yield from file_names(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from file_names(value)
