"""Each difference between a published client's surface and ours, with its reason.

A difference reads `fact: theirs -> ours`, see `surface`. In a pattern, `*` stands for any text. A
difference without a reason fails `tox -e peers`, and so does a pattern without a difference.
"""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, tuple[str, ...]] = {
    "It takes more: any iterable, any kind of path, durations in any form, or None.": (
        "*) type: tuple[* -> Iterable[*",
        "CompanionContainerSpec(command) type: Sequence[str] | None -> Iterable[str] | None",
        "*) type: str -> str | PathLike[str]",
        "AgentsSandboxClient.*(cwd) type: str -> str | PathLike[str] | None",
        "HealthcheckConfig(*) type: timedelta | None -> timedelta | float | str | None",
        "AgentsSandboxClient(*timeout_seconds) type: float* -> DurationLike*",
        "AgentsSandboxClient.*(idle_ttl) type: timedelta | None -> DurationLike | None",
    ),
    "It takes an object that has the id, too, such as a handle.": (
        "AgentsSandboxClient.*(sandbox_id) type: str -> SandboxIdLike",
        "AgentsSandboxClient.*(sandbox_id) type: str | None -> SandboxIdLike | None",
        "AgentsSandboxClient.*(exec_id) type: str -> ExecIdLike",
    ),
    "A result is a handle that has the output, too.": (
        "AgentsSandboxClient.run() returns: async ExecHandle -> async ExecResult",
    ),
    "The default means the same: the daemon's own folder, /workspace.": (
        "AgentsSandboxClient.*(cwd) default: '/workspace' -> ''",
    ),
    "None means that a limit is not set; the empty string is taken for None.": (
        "*_limit) default: '' -> None",
        "*_limit) type: str -> str | None",
        "*_limit type: str -> str | None",
        "*(gpus) default: '' -> None",
        "*(gpus) type: str -> str | None",
    ),
    "A command is a tuple, whatever it was given as: specs are immutable.": (
        "CompanionContainerSpec.command type: Sequence[str] | None -> tuple[str, ...] | None",
    ),
    "An unset state is UNSPECIFIED, which is as falsy as None.": (
        "*(exec_state) default: None -> UNSPECIFIED",
        "*(sandbox_state) default: None -> UNSPECIFIED",
        "*exec_state* type: ExecState | None -> ExecState",
        "*sandbox_state* type: SandboxState | None -> SandboxState",
    ),
    "A daemon can leave the time out.": (
        "SandboxEvent*occurred_at* type: datetime -> datetime | None",
    ),
    "One value has two names; the one of the user's documentation wins.": (
        "SandboxEventType(13).name: COMPANION_CONTAINER_READY -> SANDBOX_SERVICE_READY",
        "SandboxEventType(14).name: COMPANION_CONTAINER_FAILED -> SANDBOX_SERVICE_FAILED",
    ),
    "The user's documentation has another order, that of 0.2.1: services stand first.": (
        "SandboxHandle(companion_containers) position: 4 -> 12",
        "SandboxHandle(labels) position: 5 -> 6",
        "SandboxHandle(created_at) position: 6 -> 7",
        "SandboxHandle(image) position: 7 -> 8",
        "SandboxHandle(error_code) position: 8 -> 9",
        "SandboxHandle(error_message) position: 9 -> 10",
        "SandboxHandle(state_changed_at) position: 10 -> 11",
        "SandboxEvent(companion_container) position: 11 -> 12",
    ),
    "The details are kept once, as those of a service; the companion's are made of them.": (
        "SandboxEvent.companion_container type: CompanionContainerEventDetails | None -> missing",
    ),
    "A stream can also be closed, and used as a context manager.": (
        "AgentsSandboxClient.subscribe_sandbox_events() returns: * -> AsyncSandboxEventStream",
    ),
    "Closing waits for what it ends, so it is async: aclose().": (
        "AgentsSandboxClient.close: method -> missing",
        "AgentsSandboxClient.close() returns: None -> missing",
    ),
    "The class of an error says more, and the general one still catches it.": (
        "ExecAlreadyTerminalError is a ExecNotRunningError: no -> yes",
        "ExecAlreadyTerminalError is a SandboxInvalidStateError: no -> yes",
        "SandboxNotReadyError is a SandboxInvalidStateError: no -> yes",
    ),
}
