"""A piece of the output of a running command."""

# No postponed annotations: libraries that read them would look in the package, not here.
from dataclasses import dataclass
from typing import Literal, TypeAlias

StreamName: TypeAlias = Literal["stdout", "stderr"]

STREAMS: tuple[StreamName, StreamName] = ("stdout", "stderr")


@dataclass(frozen=True, slots=True, repr=False)
class OutputChunk:
    """A piece of one stream of a command's output.

    Attributes:
        stream: `"stdout"` or `"stderr"`.
        data: The bytes; empty if only an incomplete character at the end of the stream is left.
        offset: Where they begin in the stream, in bytes.
        text: The text. A character that is split over two chunks is in the second one. Bytes that
            are not UTF-8 are replaced by U+FFFD.
    """

    __module__ = "agents_sandbox"

    stream: Literal["stdout", "stderr"]
    data: bytes
    offset: int
    text: str

    # The output may be long, and may be a secret.
    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(stream={self.stream!r}, data=<{len(self.data)} bytes>, "
            f"offset={self.offset})"
        )
