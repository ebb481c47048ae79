"""Enums: the numbers of the wire, and numbers that only a newer daemon knows."""

from __future__ import annotations

import enum
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from agents_sandbox import ExecState, SandboxEventType, SandboxState

ENUMS: dict[type[enum.Enum], list[str]] = {
    SandboxState: ["UNSPECIFIED", "PENDING", "READY", "FAILED", "STOPPED", "DELETING", "DELETED"],
    ExecState: ["UNSPECIFIED", "RUNNING", "FINISHED", "FAILED", "CANCELLED"],
    SandboxEventType: [
        "UNSPECIFIED",
        "SANDBOX_ACCEPTED",
        "SANDBOX_PREPARING",
        "SANDBOX_READY",
        "SANDBOX_FAILED",
        "SANDBOX_STOP_REQUESTED",
        "SANDBOX_STOPPED",
        "SANDBOX_DELETE_REQUESTED",
        "SANDBOX_DELETED",
        "EXEC_STARTED",
        "EXEC_FINISHED",
        "EXEC_FAILED",
        "EXEC_CANCELLED",
        "SANDBOX_SERVICE_READY",
        "SANDBOX_SERVICE_FAILED",
    ],
}


@pytest.mark.parametrize("enumeration", ENUMS)
def test_enums_number_their_names_as_the_wire_does(enumeration: type[enum.Enum]) -> None:
    assert [member.name for member in enumeration] == ENUMS[enumeration]
    assert [member.value for member in enumeration] == list(range(len(ENUMS[enumeration])))
    for member in enumeration:
        assert enumeration(member.value) is member
        assert enumeration[member.name] is member
        assert pickle.loads(pickle.dumps(member)) is member


def test_events_of_companions_are_those_of_services_by_another_name() -> None:
    kind = SandboxEventType
    for number, end in (13, "READY"), (14, "FAILED"):
        assert kind[f"COMPANION_CONTAINER_{end}"] is kind[f"SANDBOX_SERVICE_{end}"] is kind(number)


@pytest.mark.parametrize("number", [15, 2**31 - 1, -1])
@pytest.mark.parametrize("enumeration", ENUMS)
def test_enums_keep_what_a_newer_daemon_sends(enumeration: type[enum.Enum], number: int) -> None:
    member = enumeration(number)
    assert isinstance(member, enumeration)
    assert (member.name, member.value) == (f"UNKNOWN_{number}", number)
    assert repr(member) == f"<{enumeration.__name__}.UNKNOWN_{number}: {number}>"
    assert member == enumeration(number)
    assert member is not enumeration(number), "a cached member: a peer could use up memory"
    assert {member: 1}[enumeration(number)] == 1
    assert member not in list(enumeration)


def test_members_of_different_enums_differ() -> None:
    assert SandboxState(9) != SandboxState(10)
    # Type checkers refuse to compare them, as intended.
    one: Any = SandboxState.PENDING
    other: Any = ExecState.RUNNING
    assert one != other
    assert not one == other  # noqa: SIM201 - both operators count
    assert SandboxState(9) != ExecState(9)  # type: ignore[comparison-overlap]  # wrong on purpose
    assert len({SandboxState(9), ExecState(9), SandboxState(9), SandboxState.READY}) == 3


@pytest.mark.parametrize("number", [2, 9])
def test_members_are_integers(number: int) -> None:
    member = SandboxState(number)
    assert member == number
    assert number == member
    assert not member != number  # noqa: SIM202 - both operators count
    assert member != number + 1
    assert {member, number} == {number}
    assert SandboxState.PENDING < member < 10
    assert int(member) == number
    assert type(member.value) is int
    assert (str(member), f"{member}", f"{member:02d}", f"{member:>3}") == (
        *(f"{number}", f"{number}", f"0{number}", f"  {number}"),
    )
    assert ("%d" % member, "%s" % member, json.dumps([member])) == (  # noqa: UP031 - as users do
        *(f"{number}", f"{number}", f"[{number}]"),
    )


@pytest.mark.parametrize("enumeration", ENUMS)
def test_only_unspecified_is_falsy(enumeration: type[enum.Enum]) -> None:
    assert [member.name for member in enumeration if not member] == ["UNSPECIFIED"]
    assert enumeration(9)


@pytest.mark.parametrize(
    "compare",
    [
        lambda state: state == "READY",
        lambda state: state != "READY",
        lambda state: "READY" == state,  # noqa: SIM300 - the other way round
        lambda state: "READY" != state,  # noqa: SIM300 - the other way round
        lambda state: state in ("READY", "STOPPED"),
        lambda state: state == "deleted",
        lambda state: state < "READY",
    ],
)
@pytest.mark.parametrize("member", [SandboxState.READY, SandboxState(9)])
def test_a_comparison_with_the_name_of_a_state_is_an_error(
    member: SandboxState, compare: Callable[[Any], object]
) -> None:
    with pytest.raises(TypeError):
        compare(member)


def test_a_comparison_with_a_name_says_what_to_compare_with() -> None:
    with pytest.raises(TypeError) as caught:
        SandboxState.READY == "deleted"  # type: ignore[comparison-overlap]  # noqa: B015 - it raises
    assert str(caught.value) == (
        "a SandboxState is never equal to a str: compare it with SandboxState.DELETED, or compare "
        "its .name with 'DELETED'"
    )


def test_other_strings_are_unequal() -> None:
    """General code asks in this way for any value, and programs for marks of their own."""
    others: tuple[Any, ...] = (None, "", [], {}, "unknown", "2")
    assert SandboxState.READY not in others
    assert SandboxState.UNSPECIFIED not in others


@pytest.mark.parametrize("value", ["READY", None, 1.5, b"1"])
def test_only_numbers_can_be_unknown_members(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid SandboxState"):
        SandboxState(value)


def test_terminal_exec_states() -> None:
    terminal = [state.name for state in (*ExecState, ExecState(9)) if state.is_terminal]
    assert terminal == ["FINISHED", "FAILED", "CANCELLED"]
