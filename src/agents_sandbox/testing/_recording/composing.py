"""Makes a cassette of what was heard, what the daemon says, and the logs; pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from ..._wire import v02_pb2 as pb
from .._cassettes.cassette import Cassette, RecordedSandbox, Take, exec_name, sandbox_name
from .._cassettes.closest import recorded_cwd
from .._cassettes.replacing import Replacer, env_placeholders, id_placeholders, redactions
from .._commands.command import KILLED
from .._commands.logs import log_paths
from .observer import HeardExec, HeardSandbox, Observer
from .outcome import Outcome

ReadLog = Callable[[str], "bytes | None"]
"""Reads a log file; None: it cannot be read."""

_ENDS = (pb.EXEC_FINISHED, pb.EXEC_FAILED, pb.EXEC_CANCELLED)
_CHANGES = (
    pb.SANDBOX_READY,
    pb.SANDBOX_STOP_REQUESTED,
    pb.SANDBOX_STOPPED,
    pb.SANDBOX_DELETE_REQUESTED,
    pb.SANDBOX_DELETED,
    pb.SANDBOX_FAILED,
)


def compose(
    observer: Observer, outcome: Outcome, read_log: ReadLog, redact: Collection[str]
) -> Cassette:
    """Make the cassette.

    Args:
        observer: What was heard.
        outcome: What the daemon says.
        read_log: Reads a log file.
        redact: What is replaced everywhere.
    """
    existing = [item for item in observer.sandboxes.values() if item.id in outcome.events]
    names = {item.id: sandbox_name(index) for index, item in enumerate(existing)}
    for item in existing:
        names |= _exec_names(observer, outcome.events[item.id])
    specs = {item.id: _spec(item, outcome) for item in existing}
    variables: list[Iterable[tuple[str, str]]] = [*map(_variables, specs.values())]
    variables += [item.env.items() for item in observer.execs.values()]
    replacer = Replacer(
        # What the caller has named goes first.
        {
            **id_placeholders(names),
            **env_placeholders(chain.from_iterable(variables)),
            **redactions(redact),
        }
    )
    secrets = Replacer(redactions(redact))
    composer = _Composer(observer, outcome, read_log, names, specs, replacer, secrets)
    return Cassette(outcome.version, tuple(map(composer.sandbox, existing)))


def _spec(heard: HeardSandbox, outcome: Outcome) -> dict[str, Any]:
    """Return what a sandbox was created with, as JSON."""
    if heard.request is None:
        return {}
    kind = outcome.methods()["CreateSandbox"].request_type
    request = kind.FromString(heard.request)
    spec = MessageToDict(request.create_spec, preserving_proto_field_name=True)
    # The document may have values of variables.
    return {**spec, **({"config_yaml": True} if request.config_yaml else {})}


def _containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what has variables: the sandbox itself, and its services."""
    yield spec
    for name in ("required_services", "optional_services", "companion_containers"):
        yield from spec.get(name, ())


def _variables(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for container in _containers(spec):
        yield from container.get("envs", {}).items()


def _reviewable(spec: dict[str, Any]) -> dict[str, Any]:
    """Leave out values of variables and paths of the host."""
    spec = deepcopy(spec)
    for item in (*spec.get("mounts", ()), *spec.get("copies", ())):
        item.pop("source", None)
    for container in _containers(spec):
        if "envs" in container:
            container["envs"] = sorted(container["envs"])
    return spec


def _log_paths(observer: Observer) -> dict[str, tuple[str, str]]:
    """Return the paths of the logs of all execs, also of those whose answers were lost."""
    known = {item.id: item.logs for item in observer.execs.values() if item.logs is not None}
    roots = (Path(stdout).parent.parent for stdout, _ in known.values())
    if (root := next(roots, None)) is not None:
        for item in observer.execs.values():
            if item.logs is None:
                one, other = log_paths(root, item.sandbox_id, item.id)
                known[item.id] = str(one), str(other)
    return known


def _exec_names(observer: Observer, events: list[pb.SandboxEvent]) -> dict[str, str]:
    started = [event.exec.exec_id for event in events if event.event_type == pb.EXEC_STARTED]
    known = [exec_id for exec_id in started if exec_id in observer.execs]
    return {exec_id: exec_name(index) for index, exec_id in enumerate(known)}


class _Composer:
    def __init__(
        self,
        observer: Observer,
        outcome: Outcome,
        read_log: ReadLog,
        names: dict[str, str],
        specs: dict[str, dict[str, Any]],
        replacer: Replacer,
        secrets: Replacer,
    ) -> None:
        self._observer = observer
        self._outcome = outcome
        self._read_log = read_log
        self._names = names
        self._specs = specs
        self._replacer = replacer
        self._secrets = secrets
        self._logs = _log_paths(observer)

    def sandbox(self, heard: HeardSandbox) -> RecordedSandbox:
        events = self._outcome.events[heard.id]
        return RecordedSandbox(
            image=self._secrets.pattern(self._outcome.images[heard.id]),
            spec=self._replacer.tree(_reviewable(self._specs[heard.id])),
            takes=tuple(
                self._take(self._observer.execs[exec_id], events)
                for exec_id in _exec_names(self._observer, events)
            ),
            events=tuple(map(self._replacer.text, self._lines(events))),
        )

    def _lines(self, events: list[pb.SandboxEvent]) -> Iterator[str]:
        for event in events:
            kind = pb.EventType.Name(event.event_type)
            which = event.WhichOneof("details")
            if which == "exec":
                if event.exec.exec_id in self._names:
                    yield f"{kind} {self._names[event.exec.exec_id]}"
            elif which == "service":
                yield f"{kind} {event.service.service_name}"
            else:
                yield kind

    def _take(self, heard: HeardExec, events: list[pb.SandboxEvent]) -> Take:
        stdout, stderr = map(self._output, self._logs.get(heard.id, (None, None)))
        exit_code, error, seconds = self._end(heard, events)
        return Take(
            argv=tuple(map(self._replacer.pattern, heard.argv)),
            cwd=self._replacer.pattern(recorded_cwd(heard.cwd)),
            env=tuple(map(self._replacer.text, sorted(heard.env))),
            input=self._input(heard.input),
            stdout=stdout,
            stderr=stderr,
            exit_code=exit_code,
            error=self._replacer.pattern(error),
            seconds=seconds,
        )

    def _input(self, data: bytes | None) -> bytes | None:
        return None if data is None else self._replacer.data_pattern(data)

    def _output(self, path: str | None) -> bytes | None:
        data = None if path is None else self._read_log(path)
        return None if data is None else self._replacer.data_pattern(data)

    def _end(
        self, heard: HeardExec, events: list[pb.SandboxEvent]
    ) -> tuple[int | None, str, float]:
        """Return the exit code, the error of a process that never started, and the seconds."""
        own = [event for event in events if event.exec.exec_id == heard.id]
        end = next((event for event in own if event.event_type in _ENDS), None)
        if end is None:
            return None, "", 0.0
        before = events[: events.index(end)]
        changes = [event.event_type for event in before if event.event_type in _CHANGES]
        killed = heard.id in self._observer.ended_by_client or changes[-1] != pb.SANDBOX_READY
        return *_outcome(end, killed=killed), _seconds(own[0], end)


def _outcome(event: pb.SandboxEvent, *, killed: bool) -> tuple[int | None, str]:
    details = event.exec
    if event.event_type == pb.EXEC_FINISHED:
        return 0, ""
    was_ended = event.event_type == pb.EXEC_CANCELLED or details.error_code == "DAEMON_RESTARTED"
    if was_ended or (killed and details.exit_code in (0, KILLED)):
        return None, ""
    if details.exit_code:
        return details.exit_code, ""
    return None, details.error_message


def _seconds(start: pb.SandboxEvent, end: pb.SandboxEvent) -> float:
    taken = end.occurred_at.ToNanoseconds() - start.occurred_at.ToNanoseconds()
    return round(max(taken, 0) / 1e9, 3)
