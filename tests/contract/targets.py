"""What a transcript is replayed against: the fake daemon, or a live one."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from agents_sandbox.testing import FakeDaemon

from .bindings import Bindings
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
    """There is no code to replay a host step."""


class Target(ABC):
    """One daemon and the host around it."""

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
    def act(self, step: Step, streams: Sequence[EventStream]) -> Json:
        """Do what the recorder did outside the protocol; return what is observed.

        Raises:
            CannotReplayError: It cannot be done here.
            UnknownHostStepError: There is no code for it.
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

    def act(self, step: Step, streams: Sequence[EventStream]) -> Json:
        """Do to the fake daemon what was done to the real one."""
        action, match = _action(step["host"])
        return action(self, match, step["observed"], streams)

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
        else:
            self._start()
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

    def _stream_end(self, _m: object, _o: object, streams: Sequence[EventStream]) -> Json:
        return next((stream.end for stream in streams if stream.end), None)


def _named(sandbox: str, name: str | None) -> tuple[str, ...]:
    return (sandbox,) if name is None else (sandbox, name)


_Action = Callable[[FakeTarget, "re.Match[str]", Json, Sequence[EventStream]], Json]
_HOST_STEPS: tuple[tuple[str, _Action], ...] = (
    (r"docker (kill|rm -f) .+", FakeTarget._docker),
    (r"daemon", FakeTarget._signal),
    (r"while the daemon is down", FakeTarget._while_down),
    (r"SIGTERM with .+|after a second SIGTERM", FakeTarget._terminate),
    (r"(\d+) s later", FakeTarget._later),
    (r"after the client cancelled its stream", FakeTarget._after_cancel),
    (r"socket file after exit", FakeTarget._socket_file),
    (r"new connection after SIGTERM", FakeTarget._new_connection),
    (r"stream ended by then", FakeTarget._stream_end),
)


def _action(text: str) -> tuple[_Action, re.Match[str]]:
    for pattern, action in _HOST_STEPS:
        match = re.fullmatch(pattern, text)
        if match:
            return action, match
    raise UnknownHostStepError(
        f"the host step {text!r} cannot be replayed: add it to _HOST_STEPS in "
        "tests/contract/targets.py, or a row to KNOWN_GAPS in tests/contract/gaps.py"
    )


class LiveTarget(Target):
    """A daemon that runs already; only its protocol can be used."""

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

    def act(self, step: Step, streams: Sequence[EventStream]) -> Json:
        """Refuse: only the fake daemon's own methods can do it.

        Raises:
            CannotReplayError: The fake daemon could do it.
            UnknownHostStepError: There is no code for it.
        """
        _action(step["host"])
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
