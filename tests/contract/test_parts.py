"""The parts of a replay that only few recordings need."""

from __future__ import annotations

import pytest

from .bindings import Bindings, UnboundError
from .times import Chronicle
from .transcripts import Json, request_of
from .windows import may_end_at_deadline
from .wire import CLOSED, ERROR

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

UUID = "3240ff32-c133-4b9b-890d-d58e0f883655"
OTHER = "54cf66dd-3e4d-4137-af74-0b4713a8106a"
OWN = "2d930f70-adcd-4a14-bc6e-5525b85d9547"


def test_a_generated_id_stands_for_one_id_only() -> None:
    bindings = Bindings({})
    assert bindings.match(f"{UUID}-1", f"{OWN}-1")
    assert bindings.match(f"again {UUID}", f"again {OWN}")
    assert not bindings.match(UUID, OTHER)
    assert not bindings.match(OTHER, OWN)
    assert bindings.apply({"sandbox_id": UUID, "n": 1, "l": [UUID]}) == {
        "sandbox_id": OWN,
        "n": 1,
        "l": [OWN],
    }


@pytest.mark.parametrize("text", ["box-1", OWN.upper(), OWN.replace("-4", "-1"), OWN[:-1]])
def test_a_generated_id_is_a_uuid(text: str) -> None:
    assert not Bindings({}).match(UUID, text)


def test_a_hash_and_a_time_have_their_form() -> None:
    bindings = Bindings({})
    recorded = f"{'0' * 64} at 2026-11-23T15:27:01.094012047Z"
    assert not bindings.match(recorded, f"{'a' * 63} at 2026-11-24T01:02:03Z")
    assert not bindings.match(recorded, f"{'a' * 64} at noon")
    assert bindings.match(recorded, f"{'a' * 64} at 2026-11-24T01:02:03Z")


def test_a_placeholder_is_learnt_and_kept() -> None:
    bindings = Bindings({"<HOME>": "/home/x"})
    assert bindings.match("<LOGS>/a and <LOGS>/b of <HOME>", "/l/a and /l/b of /home/x")
    assert bindings.apply("<LOGS>/c") == "/l/c"
    assert not bindings.match("<LOGS>/a", "/elsewhere/a")
    assert not bindings.match("<A>/a <A>/b", "/x/a /y/b")
    with pytest.raises(UnboundError, match="<OTHER>"):
        bindings.apply("<OTHER>/c")


def test_a_prefix_is_enough_where_it_shall_be() -> None:
    bindings = Bindings({})
    assert bindings.match("Error: ", "Error: any\nthing", prefix=True)
    assert not bindings.match("Error: ", "Fault: any", prefix=True)
    assert not bindings.match("Error: ", "Error: any")


def test_ids_and_labels_are_renamed() -> None:
    longest = "Z" * 200
    bindings = Bindings({}, renamed={"box", "box-1", longest}, labels={("job", "1")}, suffix="-s")
    request = {"sandbox_id": "box-1", "labels": {"job": "1", "x": "1"}}
    assert bindings.apply(request) == {"sandbox_id": "box-1-s", "labels": {"job": "1-s", "x": "1"}}
    assert bindings.apply(longest) == "Z" * 198 + "-s"
    assert bindings.match("no box", "no box-s")
    assert bindings.owns("box-1-s")
    assert not bindings.owns("box-1")


def test_the_readable_yaml_is_sent_where_it_has_placeholders() -> None:
    request = {"sandbox_id": "box-1", "config_yaml": "eDogMQ=="}  # x: 1
    assert request_of({"request": request, "config_yaml_text": "x: 1"}) == request
    sent = request_of({"request": request, "config_yaml_text": "x: <HOME>"})
    assert Bindings({"<HOME>": "/h"}).apply(sent) == {**request, "config_yaml": "eDogL2g="}


def event(sequence: int, second: int, **fields: Json) -> Json:
    return {
        "event_id": f"box-{sequence}",
        "sandbox_id": "box",
        "sequence": str(sequence),
        "event_type": "EXEC_STARTED",
        "occurred_at": f"2026-11-23T00:00:{second:02}Z",
        **fields,
    }


def test_events_are_in_the_order_of_their_times() -> None:
    chronicle = Chronicle()
    chronicle.add([event(1, 1), event(2, 1), event(3, 2)])
    assert not chronicle.check_order()
    chronicle.add([event(4, 1)])
    assert chronicle.check_order() == ["box-4 is older than box-3"]


def test_an_event_has_the_same_time_in_all_streams() -> None:
    chronicle = Chronicle()
    chronicle.add([event(1, 1), event(1, 1, snapshot=True), event(1, 2)])
    assert chronicle.check_order() == ["box-1 has two times"]


@pytest.mark.parametrize(("second", "faults"), [(1, 1), (2, 0), (3, 0)])
def test_a_snapshot_makes_up_events_of_now(second: int, faults: int) -> None:
    chronicle = Chronicle()
    made_up = event(1, second, snapshot=True, event_id="box-snapshot-exec")
    chronicle.add([event(1, 2, snapshot=True), made_up])
    assert len(chronicle.check_order()) == faults


def test_a_time_of_no_event_is_reported() -> None:
    chronicle = Chronicle()
    chronicle.add([event(1, 1), event(2, 2)])
    handle = {"sandbox_id": "box", "state_changed_at": "2026-11-23T00:00:02.000000000Z"}
    assert chronicle.relations(handle) == {"state changed": "the time of EXEC_STARTED no. 2"}
    handle["state_changed_at"] = "2026-11-23T00:00:02.000000001Z"
    assert chronicle.relations(handle) == {"state changed": "the time of no event"}


@pytest.mark.parametrize(
    ("code", "end", "actual", "allowed"),
    [
        ("DEADLINE_EXCEEDED", CLOSED, None, True),
        ("DEADLINE_EXCEEDED", ERROR, {"code": "CANCELLED"}, True),
        ("DEADLINE_EXCEEDED", ERROR, {"code": "DEADLINE_EXCEEDED"}, True),
        ("DEADLINE_EXCEEDED", ERROR, {"code": "INTERNAL"}, False),
        ("DEADLINE_EXCEEDED", None, None, False),
        ("NOT_FOUND", CLOSED, None, False),
        (None, CLOSED, None, False),
    ],
)
def test_only_deadlines_are_seen_by_both_sides(
    code: str | None, end: str | None, actual: Json, allowed: bool
) -> None:
    recorded = None if code is None else {"code": code}
    assert may_end_at_deadline(recorded, end, actual) is allowed
