"""Records with the API of OpenTelemetry. It loads only when the application asks for it."""

from __future__ import annotations

import re
from types import TracebackType
from typing import TYPE_CHECKING

import grpc
from opentelemetry import context as contexts
from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from .._shared.shown import shown_id
from .._surroundings import clock
from .._version import __version__
from .log import TELEMETRY
from .recording import Metadata, RecordedCall

if TYPE_CHECKING:
    from typing_extensions import Self

_NAME = "agents_sandbox"
_CALL = contexts.create_key("agents_sandbox.call")
_IDS = ("sandbox_id", "exec_id")

# OpenTelemetry's semantic conventions for RPC.
_RPC = {"rpc.system": "grpc", "rpc.service": "agbox.v1.SandboxService"}

# Those of the conventions for durations of clients in seconds, and some for long commands.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


# What gRPC sends as text. It refuses a call with other metadata.
_KEY = re.compile(r"[a-z0-9_.-]+(?<!-bin)")
_VALUE = re.compile(r"[ -~]*")


class OpenTelemetryRecorder:
    """Records spans and metrics.

    Args:
        tracer_provider: Makes the tracer; None: the global one.
        meter_provider: Makes the meter; None: the global one.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: metrics.MeterProvider | None,
    ) -> None:
        self.guard = _Guard()
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._calls = meter.create_counter(
            "agents_sandbox.calls", "{call}", "Calls of public methods."
        )
        self._errors = meter.create_counter(
            "agents_sandbox.errors", "{error}", "Calls that raised, by the class of the error."
        )
        self._resumed = meter.create_counter(
            "agents_sandbox.streams.resumed", "{stream}", "Event streams that resumed."
        )
        self._durations = meter.create_histogram(
            "agents_sandbox.call.duration",
            "s",
            "How long calls of public methods took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._waits = meter.create_histogram(
            "agents_sandbox.wait.duration",
            "s",
            "How long waits for sandboxes and commands took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

    def call(self, name: str) -> RecordedCall:
        """Return what records a call, unless it is part of one: that has one span."""
        return _Call(self, name)

    def attempt(self, request: object) -> Metadata:
        """Note the ids on the open call, and return its context as metadata."""
        carried: dict[str, str] = {}
        with self.guard:
            call = _open_call()
            if call is not None:
                call.see(request)
            propagate.inject(carried)
        return tuple(
            (key.lower(), value)
            for key, value in carried.items()
            if _KEY.fullmatch(key.lower()) and _VALUE.fullmatch(value)
        )

    def outage(self, what: str) -> _Outage:
        """Begin a span below the current one."""
        attributes = {"agents_sandbox.concerns": what}
        span: trace.Span = trace.INVALID_SPAN
        with self.guard:
            span = self._tracer.start_span(f"{_NAME}.outage", attributes=attributes)
        return _Outage(span, self.guard)

    def stream_resumed(self) -> None:
        """Count it."""
        with self.guard:
            self._resumed.add(1)

    def waited(self, kind: str, seconds: float) -> None:
        """Record it."""
        with self.guard:
            self._waits.record(seconds, {"agents_sandbox.wait": kind})

    def begin(self, name: str) -> trace.Span:
        """Begin the span of a call."""
        return self._tracer.start_span(f"{_NAME}.{name}", kind=SpanKind.CLIENT, attributes=_RPC)

    def count(self, name: str, seconds: float, error_type: str | None) -> None:
        """Count a call that has ended."""
        attributes = {"agents_sandbox.method": name}
        if error_type is not None:
            attributes["error.type"] = error_type
            self._errors.add(1, attributes)
        self._calls.add(1, {"agents_sandbox.method": name})
        self._durations.record(seconds, attributes)


class _Guard:
    """Keeps what hooks of the application raise from its calls; a context manager.

    Hooks are samplers, processors, propagators and the like. Interruptions pass.
    """

    _warned = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self._warned:
            self._warned = True
            message = "OpenTelemetry raised %s: the record is incomplete. This is logged only once"
            TELEMETRY.warning(message, type(error).__name__)  # its text may quote attributes
        return True


class _Call:
    """A call with a span, which is the current one from `begin` to the end of the block.

    An interruption can come at any line, so nothing relies on a token of OpenTelemetry: that may
    be lost before it is stored.
    """

    result: object = None
    open = False

    def __init__(self, recorder: OpenTelemetryRecorder, name: str) -> None:
        self._recorder = recorder
        self._name = name
        self._before = contexts.get_current()
        self._began: float | None = None
        self._span: trace.Span = trace.INVALID_SPAN

    def __enter__(self) -> Self:
        return self

    def begin(self) -> None:
        """Begin the span, unless the call is part of another one."""
        if _open_call() is not None:
            return
        self._began = clock.monotonic()
        with self._recorder.guard:
            self._span = self._recorder.begin(self._name)
            context = contexts.set_value(_CALL, self, trace.set_span_in_context(self._span))
            self.open = True
            contexts.attach(context)

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        self.open = False
        # A coroutine may be closed in another context than its own.
        if contexts.get_value(_CALL) is self:
            contexts.attach(self._before)
        error_type = None if error is None else _full_name(type(error))
        with self._recorder.guard:
            if self._span.is_recording():
                self.see(self.result if error is None else error)
                self.see(getattr(error, "result", None))  # of a command that failed
                if error is not None:
                    self._describe(error)
                self._span.end()
        self.result = None
        began, self._began = self._began, None
        if began is not None:
            with self._recorder.guard:
                self._recorder.count(self._name, clock.monotonic() - began, error_type)

    def see(self, thing: object) -> None:
        """Note the ids, the exit code and the state that a request, a result or an error has."""
        for name in _IDS:
            value = getattr(thing, name, None)
            if isinstance(value, str) and value:
                self._span.set_attribute(f"agents_sandbox.{name}", value)
        exit_code = getattr(thing, "exit_code", None)
        if isinstance(exit_code, int):
            self._span.set_attribute("agents_sandbox.exit_code", exit_code)
        if hasattr(thing, "exit_code") and (state := getattr(thing, "state", None)) is not None:
            self._span.set_attribute("agents_sandbox.exec_state", state.name)

    # Not its message: that may quote output or a configuration.
    def _describe(self, error: BaseException) -> None:
        status = grpc.StatusCode.__members__.get(str(getattr(error, "code", None)))
        reason = getattr(error, "reason", None)
        self._span.set_attribute("error.type", _full_name(type(error)))
        if status is not None:
            self._span.set_attribute("rpc.grpc.status_code", status.value[0])
        if reason is not None:
            self._span.set_attribute("agents_sandbox.reason", shown_id(reason))
        self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))


class _Outage:
    """An outage with a span, which is not the current one.

    Args:
        span: The span.
        guard: That of the recorder.
    """

    def __init__(self, span: trace.Span, guard: _Guard) -> None:
        self._span = span
        self._guard = guard

    def retry(self, cause: str, seconds: float) -> None:
        """Add an event."""
        with self._guard:
            self._span.add_event(
                "retry", {"agents_sandbox.cause": cause, "agents_sandbox.pause": seconds}
            )

    def end(self, recovered: bool) -> None:
        """End the span."""
        with self._guard:
            self._span.set_attribute("agents_sandbox.recovered", recovered)
            if not recovered:
                self._span.set_status(Status(StatusCode.ERROR))
            self._span.end()


def _open_call() -> _Call | None:
    call = contexts.get_value(_CALL)
    return call if isinstance(call, _Call) and call.open else None


def _full_name(kind: type) -> str:
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
