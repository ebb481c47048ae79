"""Traces and metrics of the clients, by OpenTelemetry.

It requires the extra: `pip install "agents-sandbox[otel]"`. Without a call of `instrument`, nothing
of OpenTelemetry loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._telemetry import recording

if TYPE_CHECKING:
    import opentelemetry.metrics
    import opentelemetry.trace

__all__ = ["AgentsSandboxInstrumentor", "instrument", "uninstrument"]


def instrument(
    *,
    tracer_provider: opentelemetry.trace.TracerProvider | None = None,
    meter_provider: opentelemetry.metrics.MeterProvider | None = None,
) -> None:
    """Record the calls of all clients of this process from now on, of both flavours.

    A second call replaces the first.

    Args:
        tracer_provider: Makes the tracer; None: OpenTelemetry's global provider.
        meter_provider: Makes the meter; None: OpenTelemetry's global provider.

    Raises:
        ModuleNotFoundError: OpenTelemetry's API is not installed.
    """
    try:
        from ._telemetry.otel import OpenTelemetryRecorder  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{error}: install the extra, pip install "agents-sandbox[otel]"', name=error.name
        ) from None
    recording.recorder = OpenTelemetryRecorder(tracer_provider, meter_provider)


def uninstrument() -> None:
    """Record nothing from now on. Safe to repeat."""
    recording.recorder = None


class AgentsSandboxInstrumentor:
    """What `opentelemetry-instrument` finds and calls, under the name `agents_sandbox`."""

    def instrument(self, **options: Any) -> None:
        """Call `instrument` with the providers; other options are those of the caller."""
        instrument(
            tracer_provider=options.get("tracer_provider"),
            meter_provider=options.get("meter_provider"),
        )

    def uninstrument(self, **_: Any) -> None:
        """Call `uninstrument`."""
        uninstrument()
