"""Replays a transcript step by step and compares the answers with the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .bindings import UnboundError
from .comparing import Comparer
from .gaps import KNOWN_GAPS, Gap, gap_at
from .targets import CannotLookError, CannotReplayError, Target, UnknownHostStepError
from .times import Chronicle
from .transcripts import LOG_FILES, Event, Json, Step, Transcript, describe, request_of
from .windows import may_end_at_deadline, racing_containers, settled
from .wire import CANCELLED, SUBSCRIBE, EventStream

CLIENT_DEADLINE = 1.0
"""Seconds; recordings do not contain the deadlines of their clients."""
LISTENING = 1.0
"""Seconds that recorders listened to a stream before they cancelled it; not recorded, either."""

_StateOf = Callable[[Event], str]
_EXEC_ENDS = ("EXEC_STATE_FINISHED", "EXEC_STATE_FAILED", "EXEC_STATE_CANCELLED")


class MismatchError(AssertionError):
    """The daemon does not behave as recorded."""


@dataclass
class Report:
    """The results of the steps of one transcript."""

    compared: int = 0
    not_replayed: list[tuple[int, str, str]] = field(default_factory=list)
    """The number of each step, what it is, and why it was not replayed."""


@dataclass(frozen=True)
class _Background:
    index: int
    step: Step
    stream: EventStream


class _StuckError(Exception):
    """What the recorder waited for does not happen; the replay cannot continue."""


class Replay:
    """One replay of one transcript.

    Args:
        transcript: What to replay.
        target: The daemon to replay it against.
        comparer: Compares the two sides.
        gaps: What is known to be impossible to replay.
    """

    def __init__(
        self,
        transcript: Transcript,
        target: Target,
        comparer: Comparer,
        gaps: Sequence[Gap] = KNOWN_GAPS,
    ) -> None:
        self.report = Report()
        self._transcript = transcript
        self._target = target
        self._wire = target.wire
        self._comparer = comparer
        self._gaps = gaps
        self._racing = racing_containers(transcript)
        self._index = 0
        self._background: list[_Background] = []
        self._streams: list[EventStream] = []
        self._mismatches: list[str] = []
        self._recorded, self._actual = Chronicle(), Chronicle()
        self._handles: list[tuple[str, Json, Json]] = []

    def run(self) -> None:
        """Replay everything that can be replayed.

        Raises:
            MismatchError: Something differs; the message lists all differences.
        """
        try:
            for index, step in enumerate(self._transcript.steps):
                self._replay(index, step)
            self._compare_background()
            self._compare_histories()
        except CannotReplayError as error:
            self._give_up(str(error))
        except (_StuckError, UnboundError, UnknownHostStepError) as error:
            self._mismatches.append(f"{error}; the steps after it were not replayed")
        finally:
            for stream in self._streams:
                stream.cancel()
        self._mismatches += self._time_differences()
        if self._mismatches:
            raise MismatchError("\n".join((self._transcript.name, *self._mismatches)))

    def _give_up(self, reason: str) -> None:
        """List the step that cannot be replayed, and all steps that build on it."""
        follows = f"it builds on step {self._index}"
        for item in self._background:
            self.report.not_replayed.append((item.index, describe(item.step), follows))
        for index, step in enumerate(self._transcript.steps[self._index :], self._index):
            self.report.not_replayed.append((index, describe(step), reason))
            reason = follows

    def _replay(self, index: int, step: Step) -> None:
        self._index = index
        gap = gap_at(self._transcript, index, self._gaps)
        where = f"step {index}, {describe(step)}"
        try:
            differences = list(self._outcome(index, step, where))
        except CannotLookError as error:
            why = str(error) if gap is None else gap.reason
            self.report.not_replayed.append((index, describe(step), why))
            return
        except UnknownHostStepError:
            if gap is None:
                raise
            differences = ["nothing to compare"]
        if gap is None:
            self.report.compared += not step.get("background")  # those are compared later
            self._mismatches += (f"{where}: {difference}" for difference in differences)
            return
        self.report.not_replayed.append((index, describe(step), gap.reason))
        if not differences:
            self._mismatches.append(f"{where}: its row in KNOWN_GAPS is not needed")

    def _outcome(self, index: int, step: Step, where: str) -> Iterator[str]:
        if "wait" in step:
            return self._wait(step, where)
        if "host" in step:
            return self._host(step)
        expected_down = step.get("error", {}).get("code") == "UNAVAILABLE" and "end" not in step
        self._target.before_call(expected_down=expected_down)
        if step["rpc"] == SUBSCRIBE:
            return self._subscribe(index, step)
        return self._call(step, where)

    def _call(self, step: Step, where: str) -> Iterator[str]:
        actual = self._wire.call(step["rpc"], self._target.bindings.apply(request_of(step)))
        if "error" in step or "error" in actual:
            yield from self._comparer.error_differences(step.get("error"), actual.get("error"))
            return
        recorded = self._wire.recorded_response(step["rpc"], step["response"])
        response = {
            key: item for key, item in self._target.mine(actual["response"]).items() if item
        }
        yield from self._comparer.differences(recorded, response)
        pairs = zip(_handles(recorded), _handles(response), strict=False)
        self._handles += ((where, expected, got) for expected, got in pairs)

    def _subscribe(self, index: int, step: Step) -> Iterator[str]:
        deadline = step.get("error", {}).get("code") == "DEADLINE_EXCEEDED"
        request = self._target.bindings.apply(step["request"])
        stream = self._wire.subscribe(request, deadline=CLIENT_DEADLINE if deadline else None)
        self._streams.append(stream)
        if step.get("background"):
            self._background.append(_Background(index, step, stream))
            # Read what is history now, in case the daemon is killed next.
            head = self._head(request)
            stream.wait_until(lambda it: len(it.events) >= head)
            return
        yield from self._stream_differences(step, stream)
        with self._target.progress(LISTENING):
            pass

    def _stream_differences(self, step: Step, stream: EventStream) -> Iterator[str]:
        expected = step["stream"]
        if step["end"] == CANCELLED:
            stream.wait_until(lambda it: len(it.events) >= len(expected))
            stream.cancel()
        else:
            stream.wait_until(lambda it: it.end is not None)
        yield from self._event_differences(expected, stream.events, "stream")
        recorded = step.get("error")
        if self._target.sees_deadlines and may_end_at_deadline(recorded, stream.end, stream.error):
            return
        yield from self._comparer.differences(step["end"], stream.end, "end")
        yield from self._comparer.error_differences(recorded, stream.error)

    def _event_differences(
        self, recorded: Sequence[Event], actual: Sequence[Event], path: str
    ) -> Iterator[str]:
        recorded = [self._wire.recorded_event(event) for event in recorded]
        self._recorded.add(recorded)
        self._actual.add(actual)
        racing = self._racing.get(recorded[0]["sandbox_id"], set()) if recorded else set()
        yield from self._comparer.differences(
            settled(recorded, racing), settled(actual, racing), path
        )

    def _compare_background(self) -> None:
        for item in self._background:
            where = f"step {item.index}, {describe(item.step)} in the background"
            differences = self._stream_differences(item.step, item.stream)
            self.report.compared += 1
            self._mismatches += (f"{where}: {difference}" for difference in differences)

    def _compare_histories(self) -> None:
        with self._target.progress(0.0):
            for sandbox, events in self._transcript.events.items():
                differences = self._history_differences(sandbox, events)
                self._mismatches += (f"history of {sandbox}: {text}" for text in differences)

    def _history_differences(self, sandbox: str, events: Sequence[Event]) -> Iterator[str]:
        request = self._target.bindings.apply({"sandbox_id": sandbox})
        head = self._head(request)
        stream = self._wire.subscribe(request)
        stream.wait_until(lambda it: len(it.events) >= head > 0)
        stream.cancel()
        yield from self._event_differences(events, stream.events, "events")

    def _head(self, request: Json) -> int:
        """The sequence of a sandbox's newest event; 0 if it has no record."""
        answer = self._wire.call("GetSandbox", {"sandbox_id": request["sandbox_id"]})
        return int(answer.get("response", {}).get("sandbox", {}).get("last_event_sequence", 0))

    def _wait(self, step: Step, where: str) -> Iterator[str]:
        wait = step["wait"]
        if "seconds" in wait:
            self._target.pause(wait["seconds"])
        elif "seconds_since_daemon_start" in wait:
            self._target.pause_until(wait["seconds_since_daemon_start"])
        else:
            with self._target.progress(step["elapsed_s"]):
                goals = wait.get("until_state", _EXEC_ENDS)
                # A recorder that gave up recorded the last state.
                goals = goals if step["reached"] in goals else ()
                reached = self._reach(self._target.bindings.apply(wait), goals, where)
            yield from self._comparer.differences(step["reached"], reached, "reached")

    def _reach(self, wait: Json, goals: Sequence[str], where: str) -> str:
        """Wait until a sandbox or an exec is in one of some states, by its events."""
        rpc, name = ("GetExec", "exec") if "exec_id" in wait else ("GetSandbox", "sandbox")
        key = f"{name}_id"
        answer = self._wire.call(rpc, {key: wait[key]})
        if "error" in answer:
            raise _StuckError(f"{where}: {rpc} ends with {answer['error']}")
        status = answer["response"][name]
        if status["state"] in goals or not goals:
            return str(status["state"])

        def state(event: Event) -> str:
            if name == "sandbox":
                return str(event.get("sandbox_state", ""))
            details = event.get("exec", {})
            return str(details["exec_state"]) if details.get("exec_id") == wait[key] else ""

        return self._follow(status, state, goals, where)

    def _follow(self, status: Json, state: _StateOf, goals: Sequence[str], where: str) -> str:
        stream = self._wire.subscribe(
            {"sandbox_id": status["sandbox_id"], "from_sequence": status["last_event_sequence"]}
        )
        self._streams.append(stream)
        states = (state(event) for event in stream.events)
        if not stream.wait_until(lambda it: any(state(event) in goals for event in it.events)):
            told = [event["event_type"] for event in stream.events]
            raise _StuckError(f"{where}: was {status['state']}, then came {told or 'nothing'}")
        stream.cancel()
        return next(found for found in states if found in goals)

    def _host(self, step: Step) -> Iterator[str]:
        if step["host"] == LOG_FILES:
            yield from self._log_differences(step["observed"])
            return
        streams = [item.stream for item in self._background]
        seen = self._target.act(step, streams)
        self.report.not_replayed += (
            (self._index, f"{step['host']}: {part}", "no record has it") for part in seen.left_out
        )
        if isinstance(seen.recorded, dict) and "code" in seen.recorded:
            yield from self._comparer.error_differences(seen.recorded, seen.actual)
        else:
            yield from self._comparer.differences(seen.recorded, seen.actual, "observed")

    def _log_differences(self, recorded: Json) -> Iterator[str]:
        for path, content in recorded.items():
            file = Path(self._target.bindings.apply(path))
            actual = file.read_text(encoding="utf-8") if file.exists() else None
            yield from self._comparer.differences(content, actual, path)

    def _time_differences(self) -> Iterator[str]:
        yield from self._actual.check_order()
        for where, recorded, actual in self._handles:
            expected, got = self._recorded.relations(recorded), self._actual.relations(actual)
            for difference in self._comparer.differences(expected, got, "times"):
                yield f"{where}: {difference}"


def _handles(response: Json) -> list[Json]:
    return response.get("sandboxes") or ([response["sandbox"]] if "sandbox" in response else [])
