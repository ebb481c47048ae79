"""A fake daemon for tests: real gRPC on a real Unix socket, no Docker.

Run it inside a test process with `FakeDaemon`, or beside it with
`python -m agents_sandbox.testing`.
"""

from ._chaos import Chaos
from ._daemon import FakeDaemon, Pause
from ._fault_rules import EventMatch, Fault
from ._faults import Faults
from ._handlers import ExecContext, ExecHandler
from ._host import ContainerBehavior, DockerHost
from ._recorder import RecordedCall
from ._scripts import ExecMatch, ExecScript
from ._wire_message import WireMessage

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
