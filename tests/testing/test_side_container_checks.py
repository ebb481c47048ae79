"""Checks of services and companions, in each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .raw import Raw, connected
from .releases import since

pytestmark = pytest.mark.once

HEALTHY = pb.HealthcheckConfig(test=["CMD", "true"])
HOOK = {"post_start_on_primary": ["true"]}


@pytest.fixture(params=["0.3.0", "0.4.3"])
def newer(request: pytest.FixtureRequest) -> Iterator[Raw]:
    """Bare calls to a daemon of dialect 0.4."""
    with FakeDaemon(version=request.param) as daemon, connected(daemon) as client:
        yield client


def item(**fields: Any) -> dict[str, Any]:
    return {"name": "a", "image": "redis:7", **fields}


@pytest.mark.parametrize("field", ["required_services", "optional_services"])
def test_identity_of_services(raw: Raw, field: str) -> None:
    check_identity(raw, field, "service")


def test_identity_of_companions(newer: Raw) -> None:
    check_identity(newer, "companion_containers", "companion container")


def check_identity(raw: Raw, field: str, noun: str) -> None:
    healthy = item(healthcheck=HEALTHY)
    faults: list[tuple[Any, str]] = [
        ([item(name="", image="")], f"{noun} name is required"),
        ([item(image="")], f'{noun} "a" image is required'),
        ([healthy, item()], f'duplicate {noun} name "a"'),
        ([item(name='q"', image="")], rf'{noun} "q\"" image is required'),
    ]
    for items, message in faults:
        assert raw.why_refused(**{field: items}) == message


def test_service_names_are_unique_over_both_lists(raw: Raw) -> None:
    why = raw.why_refused(required_services=[item(healthcheck=HEALTHY)], optional_services=[item()])
    assert why == 'duplicate service name "a"'


def test_required_services_are_checked_first(raw: Raw) -> None:
    why = raw.why_refused(required_services=[item()], optional_services=[item(image="")])
    assert why == 'required service "a" must define healthcheck'


def test_each_entry_is_checked_completely_before_the_next(newer: Raw) -> None:
    why = newer.why_refused(companion_containers=[item(**HOOK), item(image="")])
    assert why == 'companion container "a" with post_start_on_primary must define healthcheck'


def test_hooks_need_a_healthcheck(raw: Raw, newer: Raw) -> None:
    assert raw.why_refused(required_services=[item()]) == (
        'required service "a" must define healthcheck'
    )
    assert raw.why_refused(optional_services=[item(**HOOK)]) == (
        'optional service "a" with post_start_on_primary must define healthcheck'
    )
    assert newer.why_refused(companion_containers=[item(**HOOK)]) == (
        'companion container "a" with post_start_on_primary must define healthcheck'
    )
    raw.create(optional_services=[item()])
    newer.create(companion_containers=[item(name="b"), item(healthcheck=HEALTHY, **HOOK)])


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ([], " must not be empty"),
        (["redis-cli"], '[0] "redis-cli" is invalid'),
        (["cmd", "x"], '[0] "cmd" is invalid'),
        (["CMD"], " for CMD must include a command"),
        (["CMD-SHELL"], " for CMD-SHELL must include a command"),
        (["NONE", "x"], " must not include extra args when NONE is used"),
    ],
)
def test_healthchecks(raw: Raw, newer: Raw, test: list[str], message: str) -> None:
    items: Any = [item(healthcheck={"test": test})]
    required = '[0] "NONE" is invalid' if test[:1] == ["NONE"] else message
    for client, field, noun, expected in (
        (raw, "required_services", "service", required),
        (raw, "optional_services", "service", message),
        (newer, "companion_containers", "companion container", message),
    ):
        why = client.why_refused(**{field: items})
        assert why == f'{noun} "a" healthcheck.test{expected}'


def test_only_required_services_need_a_real_healthcheck(raw: Raw, newer: Raw) -> None:
    items = [item(healthcheck={"test": ["NONE"]})]
    assert raw.why_refused(required_services=items) == (
        'service "a" healthcheck.test[0] "NONE" is invalid'
    )
    raw.create(optional_services=items)
    newer.create(companion_containers=items)


@pytest.mark.parametrize("version", since("0.4.0"))
def test_commands_of_companions(version: str) -> None:
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        why = raw.why_refused(
            companion_containers=[item(command=["x", ""])], command=[""], builtin_tools=["vim"]
        )
        assert why == "companion_containers[a].command[1]: empty string entry is not allowed"
        raw.create(companion_containers=[item(command=["x"])], command=["y"])
