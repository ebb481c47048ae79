"""A pytest plugin: OpenTelemetry instruments every gRPC client and server of the process."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

# Not installed where the types are checked.
_trace: Any = import_module("opentelemetry.trace")
_sdk: Any = import_module("opentelemetry.sdk.trace")
_export: Any = import_module("opentelemetry.sdk.trace.export")
_memory: Any = import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter")
_grpc: Any = import_module("opentelemetry.instrumentation.grpc")

_spans = _memory.InMemorySpanExporter()
_provider = _sdk.TracerProvider()
_provider.add_span_processor(_export.SimpleSpanProcessor(_spans))
_trace.set_tracer_provider(_provider)
for _side in ("Client", "Server"):
    for _flavour in ("", "Aio"):
        getattr(_grpc, f"Grpc{_flavour}Instrumentor{_side}")().instrument()


@pytest.fixture
def trace_header() -> str:
    """The key of the metadata that an instrumented client adds to its calls."""
    return "traceparent"


@pytest.fixture
def spans() -> Callable[[], list[Any]]:
    """Returns all spans of the test that have ended."""
    _spans.clear()
    return lambda: list(_spans.get_finished_spans())


@pytest.fixture
def served() -> Callable[[], list[str]]:
    """Returns the names of the calls that an instrumented server has served during the test."""
    _spans.clear()
    return lambda: [
        span.name for span in _spans.get_finished_spans() if span.kind is _trace.SpanKind.SERVER
    ]
