"""Spans and metrics of the clients, read from the exporters of OpenTelemetry's SDK."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from opentelemetry import propagate, trace
from opentelemetry.metrics import NoOpMeterProvider, get_meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecFailedError,
    InvalidArgumentError,
    SandboxFailedError,
    SandboxHandle,
    SandboxNotFoundError,
    SandboxState,
    telemetry,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step, unless_late
from ..interrupting import join_readers
from ..releases import any_release, each_dialect
from .conftest import IMAGE
from .life import ID, count, stop_through_a_restart

pytestmark = any_release

SECRET = "s3cret"


class Recorded:
    """What OpenTelemetry has got."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.tracer = self.provider.get_tracer("a test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, without those of the test."""
        return [span for span in self.exporter.get_finished_spans() if "agents" in span.name]

    def names(self) -> list[str]:
        """Their names."""
        return [span.name.removeprefix("agents_sandbox.") for span in self.spans]

    def metric(self, name: str) -> dict[Any, float]:
        """The sum, or the number of records, by the attributes."""
        found: Any = self.reader.get_metrics_data()
        return {
            tuple(sorted(point.attributes.values())): getattr(point, "count", None) or point.value
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == f"agents_sandbox.{name}"
            for point in metric.data.data_points
        }


@pytest.fixture
def recorded(caplog: pytest.LogCaptureFixture) -> Iterator[Recorded]:
    """The clients are instrumented."""
    recorded = Recorded()
    telemetry.instrument(tracer_provider=recorded.provider, meter_provider=recorded.meters)
    yield recorded
    telemetry.uninstrument()
    recorded.provider.shutdown()
    recorded.meters.shutdown()
    assert [item for item in caplog.records if item.name.startswith("opentelemetry")] == []


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span without those that all have."""
    every = {"rpc.system": "grpc", "rpc.service": "agbox.v1.SandboxService"}
    found = dict(span.attributes or {})
    assert every.items() <= found.items()
    return {key: value for key, value in found.items() if key not in every}


async def test_a_call_has_one_span_with_the_ids_and_the_exit_code(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    daemon.on_exec(("make",)).exit(2)
    await client.run(ID, ("make",), exec_id="my-exec")
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("agents_sandbox.run", trace.SpanKind.CLIENT)
    assert attributes(span) == {
        "agents_sandbox.sandbox_id": ID,
        "agents_sandbox.exec_id": "my-exec",
        "agents_sandbox.exit_code": 2,
        "agents_sandbox.exec_state": "FAILED",
    }
    assert span.status.is_ok
    assert span.parent is None


async def test_each_request_carries_the_context_of_its_call(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    before = len(daemon.calls)
    with recorded.tracer.start_as_current_span("the user's") as parent:
        await client.run(ID, ("true",))
        async with client.subscribe_sandbox_events(ID) as events:
            await step(events)
    (span,) = recorded.spans
    assert span.parent is not None
    assert span.context is not None
    assert span.parent.span_id == parent.get_span_context().span_id
    own, outer = (f"{of.span_id:016x}" for of in (span.context, parent.get_span_context()))
    carried = {
        call.method: str(dict(call.metadata)["traceparent"]).split("-")[2]
        for call in daemon.calls[before:]
    }
    assert carried == {
        "CreateExec": own,
        "GetExec": own,
        "SubscribeSandboxEvents": outer,
    }


async def test_a_method_that_calls_another_has_one_span(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    attached = client.attach(ID)
    await attached.run(("true",))
    await attached.files.write_text("a.txt", "text")
    async with attached.start(("true",)) as process:
        await process.wait()
    assert recorded.names() == [
        "run",
        "files.write_text",
        "start.enter",
        "process.wait",
        "start.exit",
    ]
    assert recorded.metric("calls") == dict.fromkeys([(name,) for name in recorded.names()], 1)
    enter, wait = recorded.spans[2:4]
    assert attributes(enter)["agents_sandbox.exec_id"] == process.exec_id
    assert attributes(wait)["agents_sandbox.exit_code"] == 0


async def test_the_entry_and_the_exit_of_a_block_have_spans(
    client: AgentsSandboxClient, daemon: FakeDaemon, recorded: Recorded
) -> None:
    with recorded.tracer.start_as_current_span("the user's") as parent:
        async with client.sandbox(image=IMAGE) as sandbox:
            inside = trace.get_current_span()
        async with client.scope() as scope:
            await scope.create_sandbox(image=IMAGE)
    assert inside is parent
    enter, leave, create, end = recorded.spans
    assert recorded.names() == [
        "sandbox.enter",
        "sandbox.exit",
        "scope.create_sandbox",
        "scope.exit",
    ]
    for span in (enter, leave):
        assert attributes(span) == {"agents_sandbox.sandbox_id": sandbox.id}
    deleting = next(c for c in daemon.calls if c.method == "DeleteSandbox")
    assert leave.context is not None
    assert f"{leave.context.span_id:016x}" in str(dict(deleting.metadata)["traceparent"])
    assert {span.parent.span_id for span in (enter, leave, create, end) if span.parent} == {
        parent.get_span_context().span_id
    }


async def test_the_clean_up_of_an_entry_that_fails_is_below_its_span(
    recorded: Recorded,
) -> None:
    with FakeDaemon(missing_images=["gone:1"]) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(SandboxFailedError):
                await client.sandbox(image="gone:1").__aenter__()
    (enter,) = recorded.spans
    assert attributes(enter)["error.type"] == "agents_sandbox.SandboxFailedError"
    assert enter.context is not None
    deleting = next(c for c in daemon.calls if c.method == "DeleteSandbox")
    assert f"{enter.context.span_id:016x}" in str(dict(deleting.metadata)["traceparent"])


async def test_a_pool_has_spans(client: AgentsSandboxClient, recorded: Recorded) -> None:
    async with client.pool(1, image=IMAGE) as pool, pool.take():
        pass
    names = recorded.names()
    assert {"pool.enter", "pool.take.enter", "pool.take.exit", "pool.exit"} <= {*names}
    assert names.count("pool.exit") == 1


async def test_what_a_pool_gives_up_at_its_end_is_no_error(
    client: AgentsSandboxClient, daemon: FakeDaemon, recorded: Recorded
) -> None:
    pool = client.pool(1, image=IMAGE)
    await pool.__aenter__()
    async with pool.take():
        with daemon.paused():
            await off_loop(daemon.wait_for_call, "CreateSandbox", count=2)
            end = Background(pool.__aexit__, None, None, None)
            await off_loop(daemon.wait_for_call, "DeleteSandbox")
        await end.result()
    await off_loop(join_readers)  # what has made the sandboxes can end later than the pool
    assert [span.name for span in recorded.spans if not span.status.is_ok] == []
    assert recorded.names().count("pool.create") == 2
    assert recorded.metric("errors") == {}


async def test_what_a_pool_cannot_create_is_an_error(
    client: AgentsSandboxClient, daemon: FakeDaemon, recorded: Recorded
) -> None:
    with daemon.faults.failing("INVALID_ARGUMENT", method="CreateSandbox"):
        async with client.pool(1, image=IMAGE) as pool:
            with pytest.raises(InvalidArgumentError):
                await pool.take().__aenter__()
    failed = next(span for span in recorded.spans if span.name == "agents_sandbox.pool.create")
    assert attributes(failed)["error.type"] == "agents_sandbox.InvalidArgumentError"


async def test_an_error_is_named_and_its_text_is_not_recorded(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    with pytest.raises(SandboxNotFoundError):
        await client.get_sandbox("ghost")
    daemon.on_exec(("login", SECRET)).stderr(SECRET).exit(1)
    envs = {"TOKEN": SECRET}
    with pytest.raises(ExecFailedError):
        await client.run(ID, ("login", SECRET), env_overrides=envs, input=SECRET, check=True)
    missing, failed = recorded.spans
    assert attributes(missing) == {
        "agents_sandbox.sandbox_id": "ghost",
        "agents_sandbox.reason": "SANDBOX_NOT_FOUND",
        "error.type": "agents_sandbox.SandboxNotFoundError",
        "rpc.grpc.status_code": 5,
    }
    assert missing.status.status_code is trace.StatusCode.ERROR
    assert attributes(failed)["error.type"] == "agents_sandbox.ExecFailedError"
    assert attributes(failed)["agents_sandbox.exit_code"] == 1
    assert SECRET not in "".join(span.to_json() for span in recorded.spans)
    assert recorded.metric("errors") == {
        ("agents_sandbox.SandboxNotFoundError", "get_sandbox"): 1,
        ("agents_sandbox.ExecFailedError", "run"): 1,
    }


async def test_an_interrupted_call_ends_its_span(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    daemon.on_exec(("train",)).never()
    calling = Background(client.run, ID, ("train",))
    await off_loop(daemon.wait_for_call, "CreateExec")
    await client.aclose()
    with pytest.raises(Exception, match="closed"):
        await calling.result()
    assert attributes(recorded.spans[0])["error.type"] == "agents_sandbox.ClientClosedError"


@each_dialect
async def test_an_outage_is_a_span_below_its_call(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    await stop_through_a_restart(client, daemon)
    *outages, call = recorded.spans
    assert call.name == "agents_sandbox.stop_sandbox"
    assert call.context is not None
    for outage in outages:
        assert outage.name == "agents_sandbox.outage"
        assert outage.parent is not None
        assert outage.parent.span_id == call.context.span_id
        assert outage.status.is_ok
        assert outage.attributes
        assert outage.attributes["agents_sandbox.recovered"] is True
        assert outage.events[0].attributes
        cause = str(outage.events[0].attributes["agents_sandbox.cause"])
        assert cause.startswith("DaemonUnavailableError UNAVAILABLE: ")
    concerned = {(outage.attributes or {})["agents_sandbox.concerns"] for outage in outages}
    assert f"events of sandbox {ID}" in concerned
    assert recorded.metric("streams.resumed") == {(): 1}
    assert recorded.metric("wait.duration") == {("stop",): 1}
    assert recorded.metric("call.duration") == {("stop_sandbox",): 1}


@pytest.mark.usefixtures("pauses")
async def test_an_outage_that_does_not_end_is_an_error(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    with daemon.faults.failing(method="GetSandbox"), pytest.raises(DaemonUnavailableError):
        await client.get_sandbox(ID, timeout_seconds=0.5)
    outage, call = recorded.spans
    assert (outage.attributes or {})["agents_sandbox.recovered"] is False
    assert outage.status.status_code is call.status.status_code is trace.StatusCode.ERROR
    assert attributes(call)["rpc.grpc.status_code"] == 14


async def test_nothing_is_recorded_any_more(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, recorded: Recorded
) -> None:
    telemetry.AgentsSandboxInstrumentor().uninstrument()
    await client.ping()
    assert recorded.spans == []
    assert "traceparent" not in dict(daemon.calls[-1].metadata)


async def test_a_call_that_is_late_leaves_no_context_behind(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    recorded: Recorded,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "opentelemetry")
    with daemon.faults.delaying(1, method="Ping"):
        await unless_late(0.1, client.ping)
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert recorded.names() == ["ping"]


def fail(*_: object, **__: object) -> NoReturn:
    """Raise, as a hook of an application may."""
    raise RuntimeError(SECRET)


@pytest.fixture(params=["on_start", "on_end", "sampler", "propagator", "meter"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One hook of the application raises whatever it is called for."""
    hook = request.param
    provider, meters = TracerProvider(), NoOpMeterProvider()
    if hook in ("on_start", "on_end"):
        processor = SpanProcessor()
        monkeypatch.setattr(processor, hook, fail)
        provider.add_span_processor(processor)
    elif hook == "sampler":
        monkeypatch.setattr(type(DEFAULT_ON), "should_sample", fail)
    elif hook == "propagator":
        monkeypatch.setattr(propagate, "inject", fail)
    else:
        meter = get_meter("a test", meter_provider=meters)
        monkeypatch.setattr(type(meter.create_counter("a")), "add", fail)
        monkeypatch.setattr(type(meter.create_histogram("a")), "record", fail)
    telemetry.instrument(tracer_provider=provider, meter_provider=meters)
    yield hook
    telemetry.uninstrument()


async def test_a_hook_that_raises_changes_no_call(
    client: AgentsSandboxClient,
    daemon: FakeDaemon,
    broken: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handle = await client.create_sandbox(image=IMAGE, sandbox_id=ID)
    assert handle.state is SandboxState.READY
    assert (await client.run(ID, ("true",))).exit_code == 0
    with pytest.raises(SandboxNotFoundError):
        await client.get_sandbox("ghost")
    with pytest.raises(ValueError, match="mine"):
        async with client.sandbox(image=IMAGE):
            raise ValueError("mine")
    assert count(daemon, "DeleteSandbox") == 1
    # Old gRPC causes others.
    ours = [item for item in caplog.records if item.name.startswith("agents_sandbox")]
    assert [item.getMessage() for item in ours if item.levelno >= logging.WARNING] == [
        "OpenTelemetry raised RuntimeError: the record is incomplete. This is logged only once"
    ]


@each_dialect
async def test_a_hook_that_raises_changes_no_outage(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, broken: str
) -> None:
    stopped = await stop_through_a_restart(client, daemon)
    assert stopped.state is SandboxState.STOPPED


async def test_an_interruption_in_a_hook_ends_the_call(
    client: AgentsSandboxClient, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> NoReturn:
        raise SystemExit(3)

    monkeypatch.setattr(propagate, "inject", interrupt)
    with pytest.raises(SystemExit):
        await client.ping()
