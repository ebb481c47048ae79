"""Sandboxes without a daemon."""

from __future__ import annotations

import itertools
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior
from agents_sandbox.testing._host.containers import Container
from agents_sandbox.testing._protocol.profile import profile_for
from agents_sandbox.testing._protocol.spec import Spec
from agents_sandbox.testing._sandboxes.sandbox import PRIMARY, Sandbox
from agents_sandbox.testing._time.clock import Clock

from .raw import IMAGE


class Ticks:
    """A clock that advances by a second at each reading."""

    def __init__(self) -> None:
        self._seconds = itertools.count(1)

    def now(self) -> Timestamp:
        return Timestamp(seconds=next(self._seconds))

    def nanoseconds(self) -> int:
        return self.now().ToNanoseconds()


def ready_sandbox(sandbox_id: str = "box-1", **spec: Any) -> Sandbox:
    """A READY sandbox with a running primary container."""
    clock = cast("Clock", Ticks())
    sandbox = Sandbox(sandbox_id, Spec(image=IMAGE, **spec), clock, profile_for("0.2.1"))
    sandbox.containers[PRIMARY] = Container("agbox-primary", ContainerBehavior(), clock)
    sandbox.primary.create()
    sandbox.primary.start()
    sandbox.record(pb.SANDBOX_READY, pb.SANDBOX_STATE_READY)
    return sandbox
