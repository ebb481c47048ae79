"""Models in other libraries: plain objects for JSON, with their defaults and their checks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_type_hints

import fastapi
import msgspec
import orjson
import pydantic
import pytest

from agents_sandbox import (
    CompanionContainerSpec,
    CopySpec,
    ExecHandle,
    ExecState,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxState,
    ServiceSpec,
)
from agents_sandbox._frozen import FrozenMapping

from .test_models import MODELS, kind

HANDLE = next(model for model in MODELS if type(model) is SandboxHandle)
EXEC = next(model for model in MODELS if type(model) is ExecHandle)
EVENT = next(model for model in MODELS if type(model) is SandboxEvent)
UNKNOWN: list[Any] = [
    dataclasses.replace(HANDLE, state=SandboxState(9)),
    dataclasses.replace(EXEC, state=ExecState(9)),
    dataclasses.replace(EVENT, event_type=SandboxEventType(99)),
]
SPEC = (
    '{"name": "db", "image": "img", "envs": {"A": "1"}, "healthcheck": {"test": ["CMD", "true"], '
    '"interval": "PT1.5S", "timeout": null, "retries": 3, "start_period": null, '
    '"start_interval": null}, "post_start_on_primary": ["x"]}'
)
SAME = ServiceSpec("db", "img", {"A": "1"}, HealthcheckConfig(["CMD", "true"], 1.5, None, 3), ["x"])


def plain(model: Any) -> Any:
    """What JSON should show of a model, with the one thing that differs between libraries."""
    if dataclasses.is_dataclass(model):
        names = [field.name for field in dataclasses.fields(model)]
        return {name: plain(getattr(model, name)) for name in names}
    if isinstance(model, tuple):
        return [plain(item) for item in model]
    return int(model) if isinstance(model, (SandboxState, ExecState, SandboxEventType)) else model


def same(shown: Any, wanted: Any) -> bool:
    """Whether JSON shows what it should; times and durations may have any form of text."""
    if isinstance(wanted, dict):
        return shown.keys() == wanted.keys() and all(same(shown[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(shown) == len(wanted) and all(map(same, shown, wanted))
    is_json = wanted is None or isinstance(wanted, (str, int))
    return shown == wanted if is_json else isinstance(shown, str)


DUMPS: dict[str, Callable[[Any], Any]] = {
    "pydantic": lambda model: pydantic.TypeAdapter(type(model)).dump_json(model),
    "asdict": lambda model: json.dumps(dataclasses.asdict(model), default=str),
    "orjson": lambda model: orjson.dumps(model, default=str),
    "msgspec": msgspec.json.encode,
}
LOADS: dict[str, Callable[[Any, Any], Any]] = {
    "pydantic": lambda text, of: pydantic.TypeAdapter(of).validate_json(text),
    "msgspec": lambda text, of: msgspec.json.decode(text, type=of),
}


@pytest.mark.parametrize("dump", DUMPS.values(), ids=DUMPS)
@pytest.mark.parametrize("model", [*MODELS, *UNKNOWN], ids=kind)
def test_json_shows_models_as_plain_objects(model: Any, dump: Any) -> None:
    assert same(json.loads(dump(model)), plain(model))


@pytest.mark.parametrize("library", LOADS)
@pytest.mark.parametrize("model", [*MODELS, *UNKNOWN], ids=kind)
def test_models_come_back_from_json(model: Any, library: str) -> None:
    again = LOADS[library](DUMPS[library](model), type(model))
    assert again == model
    assert hash(again) == hash(model)
    for name, hint in get_type_hints(type(model)).items():
        if "Mapping" in str(hint):
            assert type(getattr(again, name)) is FrozenMapping


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_a_spec_can_be_read_from_json(load: Any) -> None:
    assert load(SPEC, ServiceSpec) == SAME


@pytest.mark.parametrize("model", [*MODELS, *UNKNOWN], ids=kind)
def test_pydantic_takes_what_asdict_makes(model: Any) -> None:
    assert pydantic.TypeAdapter(type(model)).validate_python(dataclasses.asdict(model)) == model


REQUIRED: dict[type[Any], dict[str, Any]] = {
    MountSpec: {"source": "/a", "target": "/b"},
    CopySpec: {"source": "/a", "target": "/b"},
    HealthcheckConfig: {"test": ["NONE"]},
    ServiceSpec: {"name": "db", "image": "img"},
    CompanionContainerSpec: {"name": "web", "image": "img"},
    PortMapping: {"container_port": 80, "host_port": 8080},
    SandboxHandle: {"sandbox_id": "box-1", "state": 2},
    ExecHandle: {
        "exec_id": "exec-1",
        "sandbox_id": "box-1",
        "state": 1,
        "command": ["ls"],
        "cwd": "",
        "env_overrides": {},
    },
    SandboxEvent: {
        "event_id": "box-1-3",
        "sequence": 3,
        "sandbox_id": "box-1",
        "event_type": 3,
        "occurred_at": None,
    },
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("of", REQUIRED)
def test_other_libraries_see_the_defaults(of: type[Any], load: Any) -> None:
    wanted = load(json.dumps(REQUIRED[of]), of)
    assert wanted == of(**{name: getattr(wanted, name) for name in REQUIRED[of]})
    assert pydantic.TypeAdapter(of).json_schema()["required"] == [*REQUIRED[of]]


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize(
    ("of", "wrong", "message"),
    [
        (PortMapping, {"container_port": 0}, "container_port must be an int from 1 to 65535"),
        (PortMapping, {"protocol": "icmp"}, "protocol must be one of tcp, udp, sctp"),
        (MountSpec, {"source": "/a\0"}, "source must not contain NUL"),
        (HealthcheckConfig, {"retries": -1}, "retries must be an int from 0"),
    ],
)
def test_other_libraries_make_the_checks(
    of: type[Any], wrong: dict[str, Any], message: str, load: Any
) -> None:
    with pytest.raises((pydantic.ValidationError, msgspec.ValidationError), match=message):
        load(json.dumps({**REQUIRED[of], **wrong}), of)


def test_pydantic_keeps_the_instance_that_it_is_given() -> None:
    class Answer(pydantic.BaseModel):
        sandbox: SandboxHandle
        events: list[SandboxEvent]

    answer = Answer(sandbox=HANDLE, events=[EVENT])
    assert answer.sandbox is HANDLE
    assert answer.events[0] is EVENT
    assert same(json.loads(answer.model_dump_json())["sandbox"], plain(HANDLE))
    assert answer.model_dump()["sandbox"]["state"] is SandboxState.READY


def test_durations_keep_their_type_or_become_iso_8601() -> None:
    adapter = pydantic.TypeAdapter(HealthcheckConfig)
    check = HealthcheckConfig(["NONE"], "1m30s")
    assert adapter.dump_python(check)["interval"] == timedelta(seconds=90)
    assert adapter.dump_python(check, mode="json")["interval"] == "PT1M30S"
    assert msgspec.to_builtins(check)["interval"] == "PT90S"


@pytest.mark.parametrize("model", [HANDLE, EXEC, EVENT, *UNKNOWN], ids=kind)
async def test_fastapi_answers_with_models(model: Any) -> None:
    app = fastapi.FastAPI()

    @app.get("/declared", response_model=type(model))
    async def declared() -> Any:
        return model

    @app.get("/plain")
    async def undeclared() -> Any:
        return model

    assert app.openapi()["components"]["schemas"][kind(model)]
    for path in ("/declared", "/plain"):
        status, body = await get(app, path)
        assert status == 200
        assert same(body, plain(model))


async def get(app: fastapi.FastAPI, path: str) -> tuple[int, Any]:
    """Ask an ASGI application, without a server and a client."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent))
