"""A fake daemon for tests: real gRPC on a real Unix socket, no Docker.

Run it inside a test process with `FakeDaemon`, or beside it with
`python -m agents_sandbox.testing`.
"""

from ._daemon import FakeDaemon, Pause
from ._faults import WireMessage
from ._handlers import ExecContext, ExecHandler
from ._host import ContainerBehavior, DockerHost
from ._recorder import RecordedCall
from ._scripts import ExecMatch, ExecScript

__all__ = [
    "ContainerBehavior",
    "DockerHost",
    "ExecContext",
    "ExecHandler",
    "ExecMatch",
    "ExecScript",
    "FakeDaemon",
    "Pause",
    "RecordedCall",
    "WireMessage",
]

for _public in (
    ContainerBehavior,
    DockerHost,
    ExecContext,
    ExecScript,
    FakeDaemon,
    Pause,
    RecordedCall,
):
    _public.__module__ = __name__
del _public
