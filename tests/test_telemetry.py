"""What of telemetry is the same in both flavours, or has only one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextvars import Context
from functools import partial
from importlib.metadata import entry_points

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agents_sandbox import telemetry
from agents_sandbox._aio import public
from agents_sandbox._telemetry import otel, recording
from agents_sandbox._tracebacks import ends_at_caller
from agents_sandbox._wire.methods import SERVICE

from .interrupting import Lines
from .test_imports import BASE, loaded_by


@pytest.fixture
def uninstrumented() -> Iterator[None]:
    yield
    telemetry.uninstrument()


@pytest.mark.once
@pytest.mark.parametrize("client", ["AgentsSandboxClient", "SyncAgentsSandboxClient"])
def test_opentelemetry_loads_only_when_it_is_asked_for(client: str) -> None:
    program = f"from agents_sandbox import {client}, telemetry; {client}('/run/x')"
    assert not [name for name in loaded_by(program, after=BASE) if "opentelemetry" in name]
    modules = loaded_by("from agents_sandbox import telemetry; telemetry.instrument()", after=BASE)
    assert "opentelemetry.trace" in modules
    assert not [name for name in modules if name.startswith("opentelemetry.sdk")]


@pytest.mark.usefixtures("uninstrumented")
def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, otel.__name__)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "agents-sandbox\[otel\]"') as error:
        telemetry.instrument()
    assert error.value.name == "opentelemetry"
    assert recording.recorder is None


@pytest.mark.usefixtures("uninstrumented")
def test_the_instrumentor_is_found_by_its_entry_point() -> None:
    (found,) = entry_points(group="opentelemetry_instrumentor", name="agents_sandbox")
    assert found.load() is telemetry.AgentsSandboxInstrumentor
    found.load()().instrument(tracer_provider=None, skip_dep_check=True)
    assert recording.recorder is not None


def test_the_service_is_that_of_the_daemon() -> None:
    assert otel._RPC["rpc.service"] == SERVICE


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """The clients are instrumented."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.instrument(tracer_provider=provider)
    yield exporter
    telemetry.uninstrument()
    provider.shutdown()


def test_an_interruption_at_any_line_leaves_no_context_behind(
    exporter: InMemorySpanExporter,
) -> None:
    method = ends_at_caller(lambda: None, "ping")
    lines, number = Lines(1), 0
    while not number or lines.reached:
        number += 1
        lines, context = Lines(number), Context()
        lines.run(partial(context.run, method))
        assert context.run(trace.get_current_span) is trace.INVALID_SPAN, lines.place
        exporter.clear()
        context.run(method)
        assert len(exporter.get_finished_spans()) == 1, lines.place
    assert number > 30


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_coroutine_that_is_closed_leaves_no_context_behind(
    exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture, elsewhere: bool
) -> None:
    @public
    async def ping() -> None:
        await asyncio.sleep(0)  # it stands here when it is closed

    own, calling = Context(), ping()
    own.run(calling.send, None)
    inside = own.run(trace.get_current_span)
    assert inside.is_recording()
    (Context() if elsewhere else own).run(calling.close)
    assert not inside.is_recording()
    assert elsewhere or own.run(trace.get_current_span) is trace.INVALID_SPAN
    assert caplog.records == []


def test_a_call_that_has_ended_keeps_no_result(exporter: InMemorySpanExporter) -> None:
    assert recording.recorder is not None
    with recording.recorder.call("list_sandboxes") as recorded, recorded:
        recorded.begin()
        recorded.result = exporter
    assert recorded.result is None


def test_metadata_that_grpc_refuses_is_left_out(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = {
        "X-User": "me, ~",
        "x-name": "Zo\u00eb",
        "x-line": "a\n",
        "x user": "a",
        "x-bin": "a",
        "": "a",
    }
    monkeypatch.setattr(propagate, "inject", lambda carrier: carrier.update(carried))
    assert recording.recorder is not None
    assert recording.recorder.attempt(None) == (("x-user", "me, ~"),)
