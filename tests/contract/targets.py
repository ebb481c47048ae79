"""What a transcript is replayed against: the fake daemon, or a live one."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agents_sandbox.testing import FakeDaemon

from .bindings import Bindings
from .docker import Sight, inspection, listing
from .transcripts import Json, Step
from .wire import EventStream, Wire

Container = tuple[str, str | None]
"""A sandbox's id and the name of a side container; None: the primary container."""

START_UP = 1.0
"""Seconds from a daemon's start to the first step, as in the recordings."""
LONGEST_PAUSE = 10.0
"""The longest pause with a live daemon, in seconds."""


class CannotReplayError(Exception):
    """A host step has no counterpart here; the steps after it cannot be replayed, either."""


class UnknownHostStepError(Exception):
    """There is no code to replay something that a recorder did outside of the protocol."""


class CannotLookError(Exception):
    """What a recorder looked at outside of the protocol cannot be seen here."""


class Target(ABC):
    """One daemon and the host around it."""

    sees_deadlines = False
    """Whether the daemon may see the deadline of a stream before its client does."""

    def __init__(self, wire: Wire, bindings: Bindings) -> None:
        self.wire = wire
        self.bindings = bindings

    @contextmanager
    @abstractmethod
    def progress(self, seconds: float) -> Iterator[None]:
        """Let background work continue while the block waits for its result.

        Args:
            seconds: How long the recorder had to wait for it.
        """

    @abstractmethod
    def pause(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def pause_until(self, seconds: float) -> None:
        """Let time pass until the daemon was started so many seconds ago."""

    @abstractmethod
    def act(self, step: Step, streams: Sequence[EventStream]) -> Sight:
        """Do or look at what the recorder did or looked at outside the protocol.

        Raises:
            CannotReplayError: It cannot be done here.
            CannotLookError: It cannot be seen here, or there is no code for it.
            UnknownHostStepError: There is no code to do it.
        """

    @abstractmethod
    def before_call(self, *, expected_down: bool) -> None:
        """Prepare for an RPC, given whether the recorder's daemon was down."""

    @abstractmethod
    def mine(self, response: Json) -> Json:
        """An answer without what belongs to other users."""


class FakeTarget(Target):
    """A fake daemon whose time and background work stand still between waits.

    A recorder's calls follow each other within a millisecond, while the daemon's background work
    begins after ten. The fake daemon therefore works only while a step waits.
    """

    def __init__(
        self, daemon: FakeDaemon, wire: Wire, bindings: Bindings, sandboxes: Sequence[str]
    ) -> None:
        super().__init__(wire, bindings)
        self._daemon = daemon
        self._sandboxes = sandboxes
        self._age = START_UP
        self._rest = ExitStack()
        daemon.advance(START_UP)
        self._rest.enter_context(daemon.paused())

    def close(self) -> None:
        """Let the fake daemon continue by itself."""
        self._rest.close()

    @contextmanager
    def progress(self, seconds: float) -> Iterator[None]:
        """Move the clock as far as the recorder's clock moved, then pause again."""
        self._daemon.advance(0.0)  # work that was just started queues behind the rest
        self._rest.close()
        self._age += seconds
        self._daemon.advance(seconds)
        yield
        self._rest.enter_context(self._daemon.paused())

    def pause(self, seconds: float) -> None:
        """Move the clock."""
        with self.progress(seconds):
            pass

    def pause_until(self, seconds: float) -> None:
        """Move the clock."""
        self.pause(seconds - self._age)

    def act(self, step: Step, streams: Sequence[EventStream]) -> Sight:
        """Do to the fake daemon what was done to the real one, and look at what was looked at."""
        known, match = _host_step(step["host"])
        result = known.replay(self, match, step["observed"], streams)
        return result if isinstance(result, Sight) else Sight(step["observed"], result)

    def before_call(self, *, expected_down: bool) -> None:
        """Start a daemon that is down; recorders do not always record that they did."""
        if not expected_down and not self._daemon.running:
            self._start()

    def mine(self, response: Json) -> Json:
        """Return it unchanged: there are no other users of this daemon."""
        return response

    def _start(self) -> None:
        self._daemon.start()
        self.wire.reconnect()
        self.pause(0.0)

    def _containers(self, names: str) -> list[Container]:
        return [self._container(name) for name in names.split()]

    def _container(self, name: str) -> Container:
        for sandbox in sorted(self._sandboxes, key=len, reverse=True):
            match = re.fullmatch(rf"agbox-(?:primary|svc|cc)-{re.escape(sandbox)}(?:-(.+))?", name)
            if match:
                return sandbox, match[1]
        raise UnknownHostStepError(f"no sandbox of the transcript has a container {name!r}")

    def _kill(self, containers: Sequence[Container]) -> None:
        for sandbox, name in containers:
            self._daemon.kill_container(*_named(sandbox, name))

    def _remove(self, containers: Sequence[Container]) -> None:
        for sandbox, name in containers:
            self._daemon.remove_container(*_named(sandbox, name))

    def _docker(self, match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Json:
        act = self._kill if match[1] == "kill" else self._remove
        act(self._containers(observed))
        return observed

    def _signal(self, _match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Json:
        if observed == "SIGKILL":
            self._daemon.kill()
        elif observed.startswith("started again"):
            self._start()
        else:
            raise UnknownHostStepError(f"there is no code to do {observed!r} to the daemon")
        return observed

    def _while_down(self, _match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Json:
        for sentence in observed.split(". "):
            verb, _, ids = sentence.partition(" ")
            act = {"removed": self._remove, "stopped": self._kill}[verb]
            act([(sandbox, None) for sandbox in ids.split(", ")])
        return observed

    def _terminate(self, match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Json:
        self._daemon.terminate()
        self.pause(1.0)
        return self._alive(match, observed, ())

    def _later(self, match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Json:
        self.pause(float(match[1]))
        return self._alive(match, observed, ())

    def _after_cancel(
        self, match: re.Match[str], observed: Json, streams: Sequence[EventStream]
    ) -> Json:
        for stream in streams:
            stream.cancel()
        return self._alive(match, observed, ())

    def _alive(self, _match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Json:
        """Return the recorded value if it is true; how long an exit takes is not compared."""
        if "exited" in observed:
            with suppress(TimeoutError):
                self._daemon.wait_until_ended(timeout=self.wire.patience)
            return "alive" if self._daemon.running else observed
        return "alive" if self._daemon.running else "exited"

    def _socket_file(self, *_: object) -> Json:
        return Path(self._daemon.socket_path).exists()

    def _new_connection(self, *_: object) -> Json:
        wire = Wire(self._daemon.socket_path, "0.2.1", patience=self.wire.patience)
        try:
            return wire.call("Ping", {})["error"]
        finally:
            wire.close()

    def _listing(self, match: re.Match[str], observed: Json, _: Sequence[EventStream]) -> Sight:
        return listing(self._daemon, observed, with_networks="networks" in match[0])

    def _inspection(self, _m: object, observed: Json, _: Sequence[EventStream]) -> Sight:
        return inspection(self._daemon, observed)

    def _stream_end(self, _m: object, _o: object, streams: Sequence[EventStream]) -> Json:
        return next((stream.end for stream in streams if stream.end), None)


def _named(sandbox: str, name: str | None) -> tuple[str, ...]:
    return (sandbox,) if name is None else (sandbox, name)


_Replayed = Callable[[FakeTarget, "re.Match[str]", Json, Sequence[EventStream]], Json]


@dataclass(frozen=True)
class _HostStep:
    """A kind of host step: what replays it, and whether it only looks at something."""

    pattern: str
    replay: _Replayed
    only_looks: bool = False


_HOST_STEPS = (
    _HostStep(r"docker (kill|rm -f) .+", FakeTarget._docker),
    _HostStep(r"daemon", FakeTarget._signal),
    _HostStep(r"while the daemon is down", FakeTarget._while_down),
    _HostStep(r"SIGTERM with .+|after a second SIGTERM", FakeTarget._terminate),
    _HostStep(r"(\d+) s later", FakeTarget._later),
    _HostStep(r"after the client cancelled its stream", FakeTarget._after_cancel),
    _HostStep(r"socket file after exit", FakeTarget._socket_file, only_looks=True),
    _HostStep(r"new connection after SIGTERM", FakeTarget._new_connection, only_looks=True),
    _HostStep(r"stream ended by then", FakeTarget._stream_end, only_looks=True),
    _HostStep(
        r"(primary )?containers?( names)?( and networks)?( left)?",
        FakeTarget._listing,
        only_looks=True,
    ),
    _HostStep(r"docker inspect of the primary", FakeTarget._inspection, only_looks=True),
)

_ACTS = re.compile(
    r"(docker )?(kill|rm|stop|start|restart|pause|unpause|update|run|exec|cp)\b"
    r"|docker network (rm|connect|disconnect|create|prune)\b"
    r"|(daemon|dockerd)$|SIG[A-Z]|while |after |\d+(\.\d+)? m?s later"
)
"""How the texts of host steps begin that change something or let time pass."""


def _host_step(text: str) -> tuple[_HostStep, re.Match[str]]:
    for known in _HOST_STEPS:
        match = re.fullmatch(known.pattern, text)
        if match:
            return known, match
    where = "add it to _HOST_STEPS in tests/contract/targets.py"
    if _ACTS.match(text):
        raise UnknownHostStepError(
            f"the host step {text!r} cannot be replayed: {where}, or a row to KNOWN_GAPS in "
            "tests/contract/gaps.py"
        )
    raise CannotLookError(f"no code looks at it: {where}")


class LiveTarget(Target):
    """A daemon that runs already; only its protocol can be used."""

    sees_deadlines = True

    @contextmanager
    def progress(self, seconds: float) -> Iterator[None]:
        """Do nothing: it continues by itself."""
        yield

    def pause(self, seconds: float) -> None:
        """Wait, as the recorder did.

        Raises:
            CannotReplayError: It would take too long.
        """
        if seconds > LONGEST_PAUSE:
            raise CannotReplayError(f"a pause of {seconds:g} s needs the fake daemon's clock")
        time.sleep(seconds)  # a real daemon knows only real time

    def pause_until(self, seconds: float) -> None:
        """Refuse: the start time of the daemon is unknown.

        Raises:
            CannotReplayError: Always.
        """
        raise CannotReplayError("it depends on the start of the daemon, which was long ago")

    def act(self, step: Step, streams: Sequence[EventStream]) -> Sight:
        """Refuse: only the fake daemon's own methods can do it.

        Raises:
            CannotReplayError: The fake daemon could do it.
            CannotLookError: It is only something to look at.
            UnknownHostStepError: There is no code for it.
        """
        known, _ = _host_step(step["host"])
        if known.only_looks:
            raise CannotLookError("it needs the fake daemon's API")
        raise CannotReplayError("it needs the fake daemon's API: live daemons are not changed")

    def before_call(self, *, expected_down: bool) -> None:
        """Do nothing: it runs all the time."""

    def mine(self, response: Json) -> Json:
        """Leave out other users' sandboxes and execs, and the number of its release."""
        owns = self.bindings.owns
        mine = dict(response)
        for key in mine.keys() & {"sandboxes", "execs"}:
            mine[key] = [entry for entry in mine[key] if owns(entry["sandbox_id"])]
        if "version" in mine:
            mine["version"] = "dev"  # the recorded ones were local builds
        return mine
