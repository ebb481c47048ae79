"""Our spans and those of gRPC's instrumentation are parts of one trace.

pytest gets this file by name, after the plugin of OpenTelemetry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import pytest

from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient, telemetry
from agents_sandbox.testing import FakeDaemon

# Not installed where the types are checked.
_distro: Any = import_module("opentelemetry.instrumentation.distro")
_dependencies: Any = import_module("opentelemetry.instrumentation.dependencies")


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    """The clients are instrumented as `opentelemetry-instrument` does it."""
    (found,) = entry_points(group="opentelemetry_instrumentor", name="agents_sandbox")
    assert _dependencies.get_dist_dependency_conflicts(found.dist) is None
    _distro.DefaultDistro().load_instrumentor(found, skip_dep_check=True)
    yield
    telemetry.uninstrument()


def blocking(socket_path: str) -> None:
    with SyncAgentsSandboxClient(socket_path) as client:
        sandbox = client.create_sandbox(image="a:1")
        client.run(sandbox, ("true",))


async def in_a_loop(socket_path: str) -> None:
    async with AgentsSandboxClient(socket_path) as client:
        sandbox = await client.create_sandbox(image="a:1")
        await client.run(sandbox, ("true",))


@pytest.mark.parametrize(
    "use", [blocking, lambda path: asyncio.run(in_a_loop(path))], ids=["blocking", "async"]
)
def test_they_are_one_trace(
    daemon: FakeDaemon, spans: Callable[[], list[Any]], use: Callable[[str], None]
) -> None:
    use(daemon.socket_path)
    daemon.wait_for_streams(0)
    ended = spans()
    (run,) = (span for span in ended if span.name == "agents_sandbox.run")
    of_rpc = {span.kind.name: span for span in ended if span.name.endswith("/CreateExec")}
    assert of_rpc["CLIENT"].parent.span_id == run.context.span_id
    assert of_rpc["SERVER"].parent.span_id == of_rpc["CLIENT"].context.span_id
    (create,) = (call for call in daemon.calls if call.method == "CreateExec")
    assert [key for key, _ in create.metadata].count("traceparent") == 1
