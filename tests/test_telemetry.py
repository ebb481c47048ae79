"""What of telemetry is the same in both flavours, or has only one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextvars import Context
from importlib.metadata import entry_points

import pytest

from agents_sandbox import telemetry
from agents_sandbox._telemetry import otel, recording
from agents_sandbox._wire.methods import SERVICE

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


def test_a_call_that_is_closed_in_another_context_logs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = otel._Call(otel.OpenTelemetryRecorder(None, None), "ping")
    Context().run(call.__enter__)
    call.__exit__(None, GeneratorExit(), None)
    assert not call.open
    assert caplog.records == []
