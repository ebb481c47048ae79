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
from ._protocol.profile import RELEASES
from ._protocol.wire_message import WireMessage
from ._recording.recorder import Recorder
from ._records.containers import ContainerRecord, NetworkRecord
from ._records.records import ExecRecord, SandboxRecord
from ._records.requests import CreateExecRequest, CreateSandboxRequest
from ._records.specs import SandboxSpec
from ._server.recorder import RecordedCall
from ._time.pause import Pause

__all__ = [
    "RELEASES",
    "Chaos",
    "ContainerBehavior",
    "ContainerRecord",
    "CreateExecRequest",
    "CreateSandboxRequest",
    "DockerHost",
    "EventMatch",
    "ExecContext",
    "ExecHandler",
    "ExecMatch",
    "ExecRecord",
    "ExecScript",
    "FakeDaemon",
    "Fault",
    "Faults",
    "NetworkRecord",
    "Pause",
    "RecordedCall",
    "Recorder",
    "SandboxRecord",
    "SandboxSpec",
    "WireMessage",
]

for _public in (
    Chaos,
    ContainerBehavior,
    ContainerRecord,
    CreateExecRequest,
    CreateSandboxRequest,
    DockerHost,
    ExecContext,
    ExecRecord,
    ExecScript,
    FakeDaemon,
    Fault,
    Faults,
    NetworkRecord,
    Pause,
    RecordedCall,
    Recorder,
    SandboxRecord,
    SandboxSpec,
):
    _public.__module__ = __name__
del _public
