"""Errors: the drawn tree is the real one, and every fact survives pickle and copy."""

from __future__ import annotations

import builtins
import copy
import errno
import inspect
import os
import pickle
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest

import agents_sandbox
from agents_sandbox import (
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecFailedError,
    ExecHandle,
    ExecNotFoundError,
    ExecNotKilledError,
    ExecNotRunningError,
    ExecState,
    OperationTimeoutError,
    OutputUnavailableError,
    SandboxClientError,
    SandboxConflictError,
    SandboxFileError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxSequenceExpiredError,
    errors,
)

HANDLE = ExecHandle("exec-1", "box-1", ExecState.RUNNING, ("sleep",), "", {}, None, "", 4)

FACTS: dict[str, Any] = {
    "sandbox_id": "box-1",
    "exec_id": "exec-1",
    "code": "NOT_FOUND",
    "reason": "SANDBOX_NOT_FOUND",
    "metadata": {"sandbox_id": "box-1"},
}
MORE_FACTS: dict[str, Any] = {
    "_trouble": "nothing listens there",
    "retryable": "not a default",
    "details": "the daemon's words",
    "debug_string": "gRPC's words",
    "socket_path": "/run/agboxd.sock",
    "timeout_seconds": 1.5,
    "last_handle": HANDLE,
    "error_code": "CONTAINER_DIED",
    "error_message": "primary container die",
    "from_sequence": 7,
    "oldest_sequence": 3,
    "field": "cpu_limit",
    "daemon_version": "0.4.0",
    "since_version": "0.4.1",
    "errno": errno.ENOLINK,
    "strerror": "other words",
    "filename": "/workspace/a",
}

ALL: list[type[SandboxClientError]] = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value)
    and issubclass(value, SandboxClientError)
    and not value.__name__.startswith("_")
]
FILE_ERRORS: list[type[SandboxFileError]] = [
    kind for kind in ALL if issubclass(kind, SandboxFileError)
]
ABOUT_SANDBOXES = [
    SandboxNotFoundError,
    SandboxConflictError,
    SandboxNotReadyError,
    SandboxSequenceExpiredError,
    *FILE_ERRORS,
]
ABOUT_EXECS = [
    ExecConflictError,
    ExecNotFoundError,
    ExecNotKilledError,
    ExecNotRunningError,
    ExecAlreadyTerminalError,
    ExecFailedError,
    OutputUnavailableError,
]


def drawn_tree() -> dict[str, tuple[str, ...]]:
    """Read the tree in the module's docstring: each class with its bases."""
    tree: dict[str, tuple[str, ...]] = {}
    ancestors: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.fullmatch(r"    ([│├└─ ]*)(\w+Error)(?: +\((\w+)\))?", line)
        if drawn is None:
            continue
        lines, name, mixed_in = drawn.groups()
        del ancestors[len(lines) // 4 :]
        tree[name] = (*ancestors[-1:], *filter(None, [mixed_in]))
        ancestors.append(name)
    return tree


def public_bases(kind: type[Any]) -> tuple[str, ...]:
    """The bases of a class, as users see them: private ones only share a constructor."""
    public = tuple(base for base in kind.__bases__ if not base.__name__.startswith("_"))
    ours = any(issubclass(base, SandboxClientError) for base in public)
    hidden = () if ours or public == kind.__bases__ else public_bases(kind.__bases__[0])
    return (*hidden, *(base.__name__ for base in public))


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn_tree() == {kind.__name__: public_bases(kind) for kind in ALL}


def test_what_is_mixed_in_comes_from_python() -> None:
    mixed_in = {
        name: bases[-1]
        for name, bases in drawn_tree().items()
        if not bases[-1].startswith(("Sandbox", "Exec", "InvalidArgument"))
    }
    assert mixed_in == {
        "SandboxClientError": "RuntimeError",
        "InvalidArgumentError": "ValueError",
        "InvalidArgumentTypeError": "TypeError",
        "DaemonUnavailableError": "ConnectionError",
        "OperationTimeoutError": "TimeoutError",
        "SandboxFileError": "OSError",
        "SandboxFileNotFoundError": "FileNotFoundError",
        "SandboxFileExistsError": "FileExistsError",
        "SandboxFilePermissionError": "PermissionError",
        "SandboxIsADirectoryError": "IsADirectoryError",
        "SandboxNotADirectoryError": "NotADirectoryError",
    }
    for name, builtin in mixed_in.items():
        assert issubclass(getattr(errors, name), getattr(builtins, builtin))


@pytest.mark.parametrize(
    "documented",
    [
        "SandboxClientError",
        "SandboxNotFoundError",
        "SandboxNotReadyError",
        "SandboxConflictError",
        "ExecNotFoundError",
        "ExecNotRunningError",
        "ExecAlreadyTerminalError",
        "SandboxSequenceExpiredError",
    ],
)
def test_documented_errors_are_importable(documented: str) -> None:
    assert issubclass(getattr(agents_sandbox, documented), SandboxClientError)


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_public_and_documented(kind: type[SandboxClientError]) -> None:
    assert getattr(agents_sandbox, kind.__name__) is kind
    assert kind.__doc__


@pytest.mark.parametrize(
    "clone",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda value, p=p: pickle.loads(pickle.dumps(value, p)) for p in range(6)),
    ],
)
@pytest.mark.parametrize("kind", ALL)
def test_errors_survive_with_every_fact(
    kind: type[SandboxClientError], clone: Callable[[Any], Any]
) -> None:
    error = kind(message="what happened", **FACTS)
    own = {name: MORE_FACTS[name] for name in typing.get_type_hints(kind)}
    for name, fact in own.items():
        assert getattr(error, name) != fact
        setattr(error, name, fact)

    cloned = clone(error)

    assert type(cloned) is kind
    assert str(cloned) == "what happened"
    assert cloned.args == error.args
    assert {name: getattr(cloned, name) for name in FACTS | own} == FACTS | own


@pytest.mark.parametrize("kind", ALL)
def test_facts_are_unset_until_known(kind: type[SandboxClientError]) -> None:
    error = kind()
    assert bool(str(error)) is (kind in [*ABOUT_SANDBOXES, *ABOUT_EXECS])
    assert {name: getattr(error, name) for name in FACTS} == {
        **dict.fromkeys(FACTS),
        "metadata": {},
    }
    for name in typing.get_type_hints(kind).keys() - {"retryable", "errno", "strerror"}:
        assert getattr(error, name) is None


@pytest.mark.parametrize("kind", [*ABOUT_SANDBOXES, *ABOUT_EXECS])
def test_an_error_about_one_thing_takes_its_id_first(kind: Any) -> None:
    name = "exec_id" if kind in ABOUT_EXECS else "sandbox_id"
    error = kind("id-1")
    assert getattr(error, name) == "id-1"
    assert " id-1 " in str(error)
    assert str(kind()) == str(error).replace(" id-1", "")
    assert str(kind(**{name: "id-1"})) == str(error)
    told = kind("id-1", message="what happened", code="NOT_FOUND")
    assert (getattr(told, name), str(told), told.code) == ("id-1", "what happened", "NOT_FOUND")
    for clone in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (getattr(clone, name), str(clone)) == ("id-1", str(error))


def test_an_expired_sequence_takes_its_numbers_second() -> None:
    error = SandboxSequenceExpiredError("box-1", 5, 3)
    assert (error.sandbox_id, error.from_sequence, error.oldest_sequence) == ("box-1", 5, 3)
    assert str(error) == "sandbox box-1 no longer has the events after 5, only those from 3 on"
    unknown = SandboxSequenceExpiredError("box-1", 5)
    assert str(unknown) == "sandbox box-1 no longer has the events after 5"
    assert str(SandboxSequenceExpiredError(message="what happened", from_sequence=5)) == (
        "what happened"
    )


def test_a_default_message_has_a_sane_length() -> None:
    assert len(str(SandboxNotFoundError("x" * 10_000))) < 200


def test_other_facts_are_given_by_name_only() -> None:
    makes: list[Callable[[], object]] = [
        # Type checkers refuse these too, as intended.
        lambda: SandboxNotFoundError("box-1", "message"),  # type: ignore[call-arg]  # wrong on purpose
        lambda: SandboxClientError("message", "box-1"),  # type: ignore[call-arg]  # wrong on purpose
    ]
    for make in makes:
        with pytest.raises(TypeError):
            make()


class HostError(DaemonUnavailableError):
    """An error of a user's own, with a constructor of its own."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host} is down")
        self.port = port


def test_an_error_of_a_user_survives_too() -> None:
    error = HostError("host", 80)
    error.__dict__["__notes__"] = ["a note"]
    error.args = (*error.args, "another")
    for clone in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (type(clone), str(clone), clone.port) == (HostError, str(error), 80)
        assert (clone.args, vars(clone)) == (("host is down", "another"), vars(error))


def test_metadata_is_a_copy_of_its_own() -> None:
    mine = {"a": "1"}
    error = SandboxClientError(metadata=mine)
    mine["a"] = "2"
    assert error.metadata == {"a": "1"}
    with pytest.raises(TypeError):
        # Type checkers refuse it too, as intended.
        error.metadata["a"] = "2"  # type: ignore[index]  # wrong on purpose


def test_only_an_absent_daemon_is_worth_a_retry() -> None:
    assert [kind for kind in ALL if kind.retryable] == [DaemonUnavailableError]


@pytest.mark.parametrize("kind", [DaemonUnavailableError, OperationTimeoutError])
def test_an_oserror_mixed_in_shows_the_message_only(kind: type[SandboxClientError]) -> None:
    assert issubclass(kind, OSError)
    assert str(kind("message", code="UNAVAILABLE")) == "message"
    assert kind("message").args == ("message",)


@pytest.mark.parametrize("kind", FILE_ERRORS)
def test_an_error_of_a_file_is_an_oserror_that_survives(kind: type[SandboxFileError]) -> None:
    error = kind("box-1", filename="/workspace/a", errno=errno.ENOSPC)
    for clone in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(clone, OSError)
        assert (clone.errno, clone.strerror) == (errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert (clone.filename, str(clone)) == (
            "/workspace/a",
            "an operation on a file in sandbox box-1 failed",
        )
    builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    assert type(OSError(kind().errno, "")) is builtin or kind.__bases__[-1] is not builtin


def test_every_reason_has_a_class_and_no_two_mean_the_same() -> None:
    assert set(errors.REASONS.values()) | set(errors.CODES.values()) <= set(ALL)
    assert errors.CODES.keys() == {"INVALID_ARGUMENT", "DEADLINE_EXCEEDED"}
    conflicts = {reason for reason, kind in errors.REASONS.items() if kind is SandboxConflictError}
    assert conflicts == {"SANDBOX_ID_ALREADY_EXISTS", "SANDBOX_CONFLICT"}
    assert len(set(errors.REASONS.values())) == len(errors.REASONS) - 1
