"""The pictures of docs/guides/pictures.md; as a program, it writes them anew."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from agents_sandbox import (
    ExecEventDetails,
    SandboxEvent,
    SandboxEventType,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
    Timeline,
    timeline,
)

FOLDER = Path(__file__).parents[1] / "docs" / "_static"

_BEGIN = datetime(2026, 3, 2, 9, 30, tzinfo=timezone.utc)


class Story:
    """A list of events, written as it happens."""

    def __init__(self, sandbox_id: str) -> None:
        self._sandbox_id = sandbox_id
        self.events: list[SandboxEvent] = []

    def tell(
        self,
        seconds: float,
        event_type: SandboxEventType,
        state: SandboxState = SandboxState.UNSPECIFIED,
        *,
        phase: SandboxPhaseDetails | None = None,
        exec_: ExecEventDetails | None = None,
        service: ServiceEventDetails | None = None,
    ) -> None:
        """Add an event, so many seconds after the beginning."""
        number = len(self.events) + 1
        self.events.append(
            SandboxEvent(
                f"{self._sandbox_id}-{number}",
                number,
                self._sandbox_id,
                event_type,
                _BEGIN + timedelta(seconds=seconds),
                sandbox_state=state,
                sandbox_phase=phase,
                exec=exec_,
                service=service,
            )
        )

    def create(self, ready: float) -> None:
        """Accept a sandbox, and make it READY."""
        self.tell(0, SandboxEventType.SANDBOX_ACCEPTED, SandboxState.PENDING)
        phase = SandboxPhaseDetails("materialize")
        self.tell(0.2, SandboxEventType.SANDBOX_PREPARING, SandboxState.PENDING, phase=phase)
        self.tell(ready, SandboxEventType.SANDBOX_READY, SandboxState.READY)

    def start(self, seconds: float, exec_id: str) -> None:
        """Start an exec."""
        self.tell(seconds, SandboxEventType.EXEC_STARTED, exec_=ExecEventDetails(exec_id))

    def end(self, seconds: float, exec_id: str, exit_code: int) -> None:
        """End an exec with an exit code."""
        ended = SandboxEventType.EXEC_FAILED if exit_code else SandboxEventType.EXEC_FINISHED
        self.tell(seconds, ended, exec_=ExecEventDetails(exec_id, exit_code))

    def lose(self, seconds: float, exec_id: str) -> None:
        """End an exec by a restart of the daemon."""
        text = "exec was running when daemon restarted"
        details = ExecEventDetails(exec_id, error_code="DAEMON_RESTARTED", error_message=text)
        self.tell(seconds, SandboxEventType.EXEC_FAILED, exec_=details)


def a_failed_exec() -> Story:
    """A sandbox with a service, in which one of four commands fails, and a restart ends another."""
    story = Story("fix-issue-42")
    story.create(6.5)
    ready = SandboxEventType.COMPANION_CONTAINER_READY
    story.tell(9, ready, service=ServiceEventDetails("postgres"))
    story.start(10, "install")
    story.end(48, "install", 0)
    story.start(50, "run-tests")
    story.end(81, "run-tests", 1)
    story.start(95, "apply-patch")
    story.end(97, "apply-patch", 0)
    story.start(99, "watch-files")
    story.start(100, "run-tests-again")
    story.end(134, "run-tests-again", 0)
    story.lose(163, "watch-files")
    story.tell(170, SandboxEventType.SANDBOX_STOP_REQUESTED, SandboxState.READY)
    story.tell(175, SandboxEventType.SANDBOX_STOPPED, SandboxState.STOPPED)
    story.tell(190, SandboxEventType.SANDBOX_DELETE_REQUESTED, SandboxState.DELETING)
    story.tell(196, SandboxEventType.SANDBOX_DELETED, SandboxState.DELETED)
    return story


def a_failed_sandbox() -> Story:
    """A sandbox whose container dies under its work."""
    story = Story("data-job")
    story.create(3)
    story.start(4, "download")
    story.end(9, "download", 0)
    story.start(9.5, "analyse")
    details = ServiceEventDetails("redis", "CONTAINER_CRASHLOOP", "redis restarts again and again")
    story.tell(12, SandboxEventType.COMPANION_CONTAINER_FAILED, service=details)
    why = SandboxPhaseDetails(None, "CONTAINER_DIED", "the primary container was killed: no memory")
    story.tell(21, SandboxEventType.SANDBOX_FAILED, SandboxState.FAILED, phase=why)
    return story


def a_batch() -> Story:
    """A sandbox with two thousand commands."""
    story = Story("batch-7")
    story.create(8)
    moments: list[tuple[float, str, int | None]] = []
    for number in range(2000):
        begin = 10 + number * 1.7 + (number % 7) * 3
        length = 1 + number * number % 23 + (60 if number % 400 == 13 else 0)
        name = f"task-{number:04}"
        moments.append((begin, name, None))
        moments.append((begin + length, name, 1 if number % 180 == 60 else 0))
    for seconds, name, exit_code in sorted(moments, key=lambda moment: moment[0]):
        if exit_code is None:
            story.start(seconds, name)
        else:
            story.end(seconds, name, exit_code)
    return story


PICTURES = {
    "timeline-failed-exec.svg": a_failed_exec,
    "timeline-failed-sandbox.svg": a_failed_sandbox,
    "timeline-batch.svg": a_batch,
}


def picture(name: str) -> Timeline:
    """Draw a picture of the page."""
    return timeline(PICTURES[name]().events)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        picture(name).save(FOLDER / name)
