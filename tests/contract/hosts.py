"""The hosts of the recordings: images, containers, commands, settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agents_sandbox.testing import ContainerBehavior, DockerHost, ExecScript, FakeDaemon
from agents_sandbox.testing._commands.isolation.probe import obstacle_to_isolation

from .bindings import Bindings
from .transcripts import Transcript

EXEC_MODE: Literal["isolated", "passthrough"] = (
    "passthrough" if obstacle_to_isolation() else "isolated"
)
"""How commands run. Only isolated ones have the paths of the recordings."""

RECORDED_ON: Mapping[str, Any] = {
    "reported_version": "dev",  # all were recorded with local builds
    "docker": DockerHost(api_version=(1, 41), gpus=False, disk_quota=False),
    "missing_images": ["agbox.invalid/none:1"],  # that domain never exists
    "images_without_command": ["ghcr.io/agents-sandbox/coding-runtime:latest"],
    "stop_delay": 5.0,  # Docker's grace; the default command ignores SIGTERM
}

_SICK = {"cache": ContainerBehavior(healthy=False)}  # its health check is `false`
_EXITS = ContainerBehavior(exits_after=0.0)

HOSTS: Mapping[str, Mapping[str, Any]] = {
    "crashloop": {"containers": {"crl-prim1": _EXITS, "loop": _EXITS}},
    "create_async_failures_04": {"containers": {"af4-0005": _EXITS, "af4-0006": _EXITS}},
    # Long enough that the create is still in progress 0.1 s after the call.
    "delete_while_creating": {"ready_delay": 0.2},
    "retention": {"idle_ttl": 5.0, "cleanup_ttl": 20.0},
    "services_crashing": {"containers": {"crash": _EXITS}},
    "services_failing_health": {"containers": _SICK},
    "services_optional_unhealthy": {"containers": _SICK},
    # Late enough to be the newest event with a state when the daemon is killed.
    "v0.4.3/restart_recovery": {"containers": {"cache": ContainerBehavior(starts_after=0.1)}},
    # Only in this recording, postgres did not start again in time.
    "v0.2.1/services_healthy": {"containers": {"db": ContainerBehavior(resumes=False)}},
}
"""Arguments of `FakeDaemon` by name of a transcript, or by scenario if all versions agree."""


@dataclass(frozen=True)
class Scripted:
    """A command that is played back instead of run.

    Attributes:
        reason: Why it cannot be run on the host.
        seconds: How long it runs, on the virtual clock.
        play: Scripts what it does, if that differs from what the recording shows.
    """

    reason: str
    seconds: float = 0.0
    play: Callable[[ExecScript], object] | None = None


def _count_to_forty(script: ExecScript) -> None:
    """Print a line every 0.1 s, the first when a real process would have started."""
    script.after(0.05)
    for number in range(1, 41):
        script.stdout(f"{number}\n").after(0.1)


_ENDS = "its end has its place among other events, so the virtual clock has to drive it"

SCRIPTED: Mapping[str, Mapping[str, Scripted]] = {
    "create_every_field": {"full-exec-1": Scripted("it asks for the container's user and home")},
    "delete_while_creating": {"dwc-exec-1": Scripted(_ENDS)},
    "exec_cancel_running": {
        "exk-exec-1": Scripted(
            "its logs are read while they grow, so the virtual clock has to drive it",
            play=_count_to_forty,
        )
    },
    "exec_parallel": {
        "exp-a1": Scripted(_ENDS, 1.0),
        "exp-b2": Scripted(_ENDS, 2.0),
        "exp-c3": Scripted(_ENDS, 2.0),
    },
    "services_healthy": {"svh-exec-1": Scripted("it talks to services over their network")},
    "subscribe_snapshot": {
        "sns-exec-1": Scripted(_ENDS, 3.0),
        "sns-exec-2": Scripted(_ENDS, 3.0),
    },
}
"""By scenario and exec id."""


def fake_daemon(transcript: Transcript) -> FakeDaemon:
    """The fake daemon that replaces the daemon of a transcript.

    Raises:
        ValueError: The fake daemon does not support that version.
    """
    return FakeDaemon(
        version=transcript.version,
        virtual_time=True,
        exec_mode=EXEC_MODE,
        **{
            **RECORDED_ON,
            **HOSTS.get(transcript.scenario, {}),
            **HOSTS.get(transcript.name, {}),
        },
    )


def script_execs(daemon: FakeDaemon, transcript: Transcript, bindings: Bindings) -> None:
    """Script the commands that cannot be run here."""
    scripted = SCRIPTED.get(transcript.scenario, {})
    for step in transcript.steps:
        exec_id = step.get("request", {}).get("exec_id")
        if step.get("rpc") == "CreateExec" and exec_id in scripted:
            script = daemon.on_exec(step["request"]["command"]).after(scripted[exec_id].seconds)
            play = scripted[exec_id].play
            if play:
                play(script)
            else:
                _play_recorded(script, exec_id, transcript, bindings)


def _play_recorded(
    script: ExecScript, exec_id: str, transcript: Transcript, bindings: Bindings
) -> None:
    for step in transcript.steps:
        if step.get("host") == "exec log files":
            for path, content in step["observed"].items():
                name, stream, _ = path.rpartition("/")[2].rsplit(".", 2)
                if name == exec_id:
                    write = {"stdout": script.stdout, "stderr": script.stderr}[stream]
                    write(bindings.apply(content))


def make_fixtures(folder: Path) -> None:
    """Make the folder that recordings call `<FIXTURES>`."""
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
