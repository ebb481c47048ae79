"""Commands that are played back as recorded instead of run, by rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents_sandbox.testing import ExecScript, FakeDaemon

from .bindings import Bindings
from .hosts import EXEC_MODE
from .transcripts import LOG_FILES, Json, Step, Transcript, requests_of

_NOT_HERE = (
    (r"\b(create_connection|getent|curl|wget)\b", "it talks to services over their network"),
    (r"\bid -u\b|\bwhoami\b|\bHOST_UID\b", "it asks for the container's user and home"),
)
"""What the text of a command shows, and why such commands cannot be run here."""
_PATH = re.compile(r"(?<![\w./-])/\w[\w./-]*")
_TARGET = re.compile(r"\btarget\"?: ?\"?(/[\w./-]+)")
_SHARED = ("/workspace", "/home/agbox", "/bin", "/usr", "/dev/null")
"""Paths that commands also have without isolation, besides the targets of mounts and copies."""
_NOT_ISOLATED = "it names paths of the container, and commands are not isolated here"
_SLEEPS = "it sleeps until its end, so the virtual clock has to drive it"
_GROWS = "its logs are read while they grow, so the virtual clock has to drive it"
_KILLED = (0, 137)
"""The exit codes of execs that failed although their command did not end by itself."""
_SOON = 0.9
"""Part of the time between two looks at a log after which it has what the second one found."""


@dataclass(frozen=True)
class Look:
    """What a recorder found in the logs of an exec.

    Attributes:
        seconds: When, in seconds since the look before it, or since the exec was created.
        logs: What each stream had.
    """

    seconds: float
    logs: dict[str, str]


@dataclass(frozen=True)
class Played:
    """A command that is played back.

    Attributes:
        command: Its argv.
        reason: Why it cannot be run.
        seconds: How long it sleeps.
        exit_code: How it ended; None: it did not.
        looks: What was found in its logs.
    """

    command: list[str]
    reason: str
    seconds: float
    exit_code: int | None
    looks: list[Look]

    def script(self, script: ExecScript, bindings: Bindings) -> None:
        """Make it write what was found, before it was found, and end as it ended."""
        script.after(self.seconds)
        written = dict.fromkeys(("stdout", "stderr"), "")
        for look in self.looks:
            if self.reason == _GROWS:
                script.after(look.seconds * _SOON)
            for stream, content in look.logs.items():
                news = content.removeprefix(written[stream])
                {"stdout": script.stdout, "stderr": script.stderr}[stream](bindings.apply(news))
                written[stream] = content
        if self.exit_code is None:
            script.never()
        else:
            script.exit(self.exit_code)


def played(
    transcript: Transcript, *, isolated: bool = EXEC_MODE == "isolated"
) -> dict[str, Played]:
    """The commands of a transcript that are played back, by exec id.

    Args:
        transcript: The transcript.
        isolated: Whether the others are isolated.
    """
    found = {}
    shared = (*_SHARED, *_TARGET.findall(requests_of(transcript)))
    for index, step in enumerate(transcript.steps):
        if step.get("rpc") == "CreateExec" and "response" in step:
            exec_id = step["response"]["exec_id"]
            exit_code = _exit_code(transcript, exec_id)
            looks = list(_looks(transcript.steps[index:], exec_id))
            command = step["request"]["command"]
            sleeps = command[0] == "sleep" and exit_code is not None
            reason = _SLEEPS if sleeps else _reason(command, looks)
            if not (reason or isolated):
                reason = _reason_without_isolation(step["request"], shared)
            if reason:
                seconds = float(command[1]) if sleeps else 0.0
                found[exec_id] = Played(command, reason, seconds, exit_code, looks)
    return found


def sleeps_without_end(transcript: Transcript) -> bool:
    """Whether a command that is run here sleeps until it is killed."""
    known = played(transcript)
    return any(
        "sleep" in " ".join(step["request"]["command"])
        for step in transcript.steps
        if step.get("rpc") == "CreateExec"
        and "response" in step
        and step["response"]["exec_id"] not in known
    )


def script_execs(daemon: FakeDaemon, transcript: Transcript, bindings: Bindings) -> None:
    """Script the commands that cannot be run here."""
    for item in played(transcript).values():
        item.script(daemon.on_exec(item.command), bindings)


def _reason(command: list[str], looks: list[Look]) -> str:
    if any(look.logs != looks[0].logs for look in looks):
        return _GROWS
    text = " ".join(command)
    return next((why for pattern, why in _NOT_HERE if re.search(pattern, text)), "")


def _reason_without_isolation(request: Json, shared: tuple[str, ...]) -> str:
    text = " ".join((*request["command"], request.get("cwd", "")))
    own = (path for path in _PATH.findall(text) if not path.startswith(shared))
    return _NOT_ISOLATED if any(own) else ""


def _exit_code(transcript: Transcript, exec_id: str) -> int | None:
    """How a command ended, if it ended by itself."""
    for event in (event for history in transcript.events.values() for event in history):
        if event.get("exec", {}).get("exec_id") == exec_id:
            exit_code = int(event["exec"].get("exit_code", 0))
            failed = event["event_type"] == "EXEC_FAILED" and exit_code not in _KILLED
            if failed or event["event_type"] == "EXEC_FINISHED":
                return exit_code
    return None


def _looks(steps: Sequence[Step], exec_id: str) -> Iterator[Look]:
    seconds = 0.0
    for step in steps:
        if "wait" in step:
            seconds += step["wait"].get("seconds", step.get("elapsed_s", 0.0))
        elif step.get("host") == LOG_FILES:
            logs = dict(_logs_of(step["observed"], exec_id))
            if logs:
                yield Look(seconds, logs)
                seconds = 0.0


def _logs_of(observed: Json, exec_id: str) -> Iterator[tuple[str, str]]:
    for path, content in observed.items():
        name, stream, _ = path.rpartition("/")[2].rsplit(".", 2)
        if name == exec_id and content is not None:
            yield stream, content
