"""A pytest plugin: Sentry instruments every gRPC client and server of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

# Not installed where the types are checked.
_sentry: Any = import_module("sentry_sdk")
_grpc: Any = import_module("sentry_sdk.integrations.grpc")

_served: list[str] = []


def _keep(event: Any, _: object) -> None:
    _served.append(event["transaction"])


_sentry.init(
    "https://key@localhost/1",  # nothing is sent there
    integrations=[_grpc.GRPCIntegration()],
    traces_sample_rate=1.0,
    before_send=lambda *_: None,
    before_send_transaction=_keep,
    auto_session_tracking=False,
    send_client_reports=False,
)


@pytest.fixture
def trace_header() -> Iterator[str]:
    """The key of the metadata that an instrumented client adds to its calls."""
    with _sentry.start_transaction(name="a test"):  # otherwise it adds nothing
        yield "sentry-trace"


@pytest.fixture
def served() -> Callable[[], list[str]]:
    """Returns the names of the calls that an instrumented server has served during the test."""
    _served.clear()
    return lambda: list(_served)
