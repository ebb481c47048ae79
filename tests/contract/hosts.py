"""The hosts of the recordings: images, containers, settings, files.

All is found by rules in the recordings themselves, so that a new one needs no line here.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agents_sandbox.testing import ContainerBehavior, DockerHost, FakeDaemon
from agents_sandbox.testing._commands.isolation.probe import obstacle_to_isolation

from .transcripts import Event, Json, Transcript, requests_of
from .windows import STARTS, container_of

EXEC_MODE: Literal["isolated", "passthrough"] = (
    "passthrough" if obstacle_to_isolation() else "isolated"
)
"""How commands run. Only isolated ones have the paths of the recordings."""

RECORDED_ON: Mapping[str, Any] = {
    "reported_version": "dev",  # all were recorded with local builds
    "docker": DockerHost(api_version=(1, 41), gpus=False, disk_quota=False),
    "images_without_command": ["ghcr.io/agents-sandbox/coding-runtime:latest"],
    # Of what recorders did 0.1 s after a create, it was still in progress; resumes that wait for
    # the health of services took 0.13 s more than that.
    "ready_delay": 0.12,
    "stop_delay": 5.0,  # Docker's grace; the default command ignores SIGTERM
}

_SIDES = ("required_services", "optional_services", "companion_containers")
_MISSING_IMAGE = re.compile(r"[\w.-]+\.invalid/[\w./:-]+")  # that domain never exists
_SETTING = re.compile(r"\b(idle_ttl|cleanup_ttl)=(\d+)s\b")
_NOT_RESUMED = re.compile(r"container (\S+) is not running while waiting for health")
_LATE = 0.1
"""Seconds after its sandbox in which a container starts that was recorded after it."""


def host_of(transcript: Transcript) -> dict[str, Any]:
    """The arguments of a `FakeDaemon` whose host is that of a transcript."""
    return {
        **RECORDED_ON,
        **{name: float(seconds) for name, seconds in _SETTING.findall(transcript.about)},
        "missing_images": sorted(set(_MISSING_IMAGE.findall(requests_of(transcript)))),
        "containers": dict(_containers(transcript)),
    }


def fake_daemon(transcript: Transcript) -> FakeDaemon:
    """The fake daemon that replaces the daemon of a transcript.

    Raises:
        ValueError: The fake daemon does not support that version.
    """
    return FakeDaemon(
        version=transcript.version,
        virtual_time=True,
        exec_mode=EXEC_MODE,
        **host_of(transcript),
    )


def _containers(transcript: Transcript) -> Iterator[tuple[str, ContainerBehavior]]:
    for step in transcript.steps:
        if step.get("rpc") != "CreateSandbox" or "response" not in step:
            continue
        sandbox, spec = step["response"]["sandbox"], step["request"].get("create_spec", {})
        history = transcript.events.get(sandbox["sandbox_id"], ())
        if _exits(spec):
            yield sandbox["sandbox_id"], ContainerBehavior(exits_after=0.0)
        for item in (item for field in _SIDES for item in spec.get(field, ())):
            yield (
                item["name"],
                ContainerBehavior(
                    healthy=item.get("healthcheck", {}).get("test") != ["CMD", "false"],
                    exits_after=0.0 if _exits(item) else None,
                    starts_after=_LATE if _starts_late(item["name"], history) else 0.0,
                    resumes=not _fails_to_resume(item["name"], history),
                ),
            )


def _exits(container: Json) -> bool:
    """Whether its command does nothing but exit."""
    return bool(re.fullmatch(r"sh -c exit \d+", " ".join(container.get("command", ()))))


def _starts_late(name: str, history: Sequence[Event]) -> bool:
    """Whether its first start was recorded after its sandbox was ready."""
    for event in history:
        if event["event_type"] == "SANDBOX_READY":
            return any(container_of(it) == name and it["event_type"] in STARTS for it in history)
        if container_of(event) == name:
            return False
    return False


def _fails_to_resume(name: str, history: Sequence[Event]) -> bool:
    """Whether a resume found that it did not run."""
    phases = (event.get("sandbox_phase", {}) for event in history)
    failures = (it for it in phases if it.get("error_code") == "SANDBOX_RESUME_FAILED")
    found = (_NOT_RESUMED.search(failure["error_message"]) for failure in failures)
    return any(match[1].endswith(f"-{name}") for match in found if match)


_FIXTURE = re.compile(r"<FIXTURES>/([\w./-]+)")


def make_fixtures(folder: Path, transcript: Transcript) -> None:
    """Make the folder that recordings call `<FIXTURES>`.

    Besides what all of them have, it has what the requests of this one name: a file if the name
    has a suffix, otherwise a folder, and nothing if the daemon did not find it.
    """
    for name, text in (
        ("dir/hello.txt", "hello-from-mount\n"),
        ("file.txt", "file\n"),
        ("tree/a.txt", "a\n"),
        ("tree/sub/b.log", "b\n"),
        ("tree/node_modules/x.js", "x\n"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "link").symlink_to(folder / "file.txt")
    os.mkfifo(folder / "fifo")
    (folder / "badtree").mkdir()
    (folder / "badtree/ext").symlink_to("/etc/hostname")
    _inside(folder, lambda: _make_socket("sock"))
    answers = json.dumps([transcript.steps, transcript.events])
    for name in _FIXTURE.findall(requests_of(transcript)):
        path = folder / name
        if not os.path.lexists(path) and f"<FIXTURES>/{name}: no such file" not in answers:
            (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.touch()


def _make_socket(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)


def _inside(folder: Path, act: Callable[[], None]) -> None:
    """Act in the folder: socket paths must be short, and temporary folders have long paths."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        act()
    finally:
        os.chdir(before)
