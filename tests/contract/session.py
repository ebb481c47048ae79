"""Sets up one replay: a daemon, a connection, the values that are known in advance."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from agents_sandbox.testing._time import clock
from agents_sandbox.testing._time.clock import VirtualClock

from .bindings import Bindings, created_ids, selected_labels
from .comparing import DOCKER, WORDINGS, Comparer
from .gaps import KNOWN_GAPS, Gap
from .hosts import fake_daemon, make_fixtures
from .played import script_execs, sleeps_without_end
from .replay import Replay
from .targets import FakeTarget, LiveTarget
from .transcripts import Transcript
from .wire import Wire

_PATIENCE = 10.0
_LIVE_PATIENCE = 120.0


@contextmanager
def fake_replay(
    transcript: Transcript, folder: Path, home: Path, gaps: Sequence[Gap] = KNOWN_GAPS
) -> Iterator[Replay]:
    """A replay against its own fake daemon.

    Args:
        transcript: What to replay.
        folder: A new folder for the files that recordings call `<FIXTURES>`.
        home: The home folder of the daemon's user; the recorded one was empty as well.
        gaps: What is known to be impossible to replay.
    """
    make_fixtures(folder, transcript)
    daemon = fake_daemon(transcript)
    bindings = Bindings(
        {
            "<FIXTURES>": str(folder),
            "<EXEC_LOG_ROOT>": str(daemon.exec_log_root),
            "<HOME>": str(home),
        }
    )
    script_execs(daemon, transcript, bindings)
    wire = Wire(daemon.socket_path, transcript.version, patience=_PATIENCE)
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if sleeps_without_end(transcript):
            # Waiting long for such a command takes time and changes nothing.
            patch.setattr(clock, "PATIENCE", 0.1)
        else:
            # All end by themselves. Until then time stands still, however slow the machine is.
            patch.setattr(VirtualClock, "hesitate_during", VirtualClock.freeze_during)
        stack.enter_context(daemon)
        stack.enter_context(closing(wire))
        target = FakeTarget(daemon, wire, bindings, tuple(transcript.events))
        stack.enter_context(closing(target))
        yield Replay(transcript, target, Comparer(bindings), gaps)


@contextmanager
def live_replay(transcript: Transcript, folder: Path, socket_path: str) -> Iterator[Replay]:
    """A replay against a running daemon; the sandboxes of the replay are removed at the end.

    Args:
        transcript: What to replay.
        folder: A new folder for the files that recordings call `<FIXTURES>`.
        socket_path: Where the daemon listens.
    """
    make_fixtures(folder, transcript)
    created = created_ids(transcript)
    bindings = Bindings(
        {"<FIXTURES>": str(folder)},
        renamed=created,
        labels=selected_labels(transcript),
        suffix=f"-{secrets.token_hex(4)}",
    )
    wire = Wire(socket_path, transcript.version, patience=_LIVE_PATIENCE)
    with closing(wire):
        target = LiveTarget(wire, bindings)
        try:
            yield Replay(transcript, target, Comparer(bindings, (*WORDINGS, DOCKER)))
        finally:
            for sandbox in transcript.events.keys() & created:
                wire.call("DeleteSandbox", bindings.apply({"sandbox_id": sandbox}))
