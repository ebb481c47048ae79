"""A fake daemon for tests: real gRPC on a real Unix socket, no Docker.

Use `FakeDaemon` in a test process, or run `python -m agents_sandbox.testing` as a program.
"""

from ._commands.handlers import ExecContext, ExecHandler
from ._commands.matching import ExecMatch
from ._commands.on_exec import ExecScript
from ._daemon import FakeDaemon
from ._faults.chaos import Chaos
from ._faults.faults import Faults
from ._faults.kinds import EventMatch, Fault
from ._host.declared import ContainerBehavior, DockerHost
from ._protocol.wire_message import WireMessage
from ._server.recorder import RecordedCall
from ._time.pause import Pause

__all__ = [
    "Chaos",
    "ContainerBehavior",
    "DockerHost",
    "EventMatch",
    "ExecContext",
    "ExecHandler",
    "ExecMatch",
    "ExecScript",
    "FakeDaemon",
    "Fault",
    "Faults",
    "Pause",
    "RecordedCall",
    "WireMessage",
]

for _public in (
    Chaos,
    ContainerBehavior,
    DockerHost,
    ExecContext,
    ExecScript,
    FakeDaemon,
    Fault,
    Faults,
    Pause,
    RecordedCall,
):
    _public.__module__ = __name__
del _public
