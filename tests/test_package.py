"""The package as its users see it: names, and two flavours that differ only in tokens."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import inspect
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

import agents_sandbox
from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient, _aio, _blocking
from agents_sandbox._arguments.creates import SandboxArguments

# The public classes that come in pairs.
TWINS = {
    name: twin
    for name in agents_sandbox.__all__
    if (twin := f"Sync{name.removeprefix('Async')}") in agents_sandbox.__all__
}
# Everything that differs between the flavours for a user.
RENAMED = {
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "AsyncIterator": "Iterator",
    "_async": "_sync_generated",
    **TWINS,
}
NOT_AWAITED = {
    *("__init__", "__getattr__", "__reduce__", "__aiter__", "__repr__"),
    *(
        "attach",
        "attach_exec",
        "events",
        "output",
        "pool",
        "sandbox",
        "scope",
        "start",
        "start_exec",
    ),
    "subscribe_sandbox_events",
    "SandboxPool.take",
    *("stream", "when_gone", "usable", "Stream.cancel", "held"),
    *("alive", "Reader.stop", "put"),
}


PAIRS: list[tuple[type[Any], type[Any]]] = [
    (getattr(agents_sandbox, name), getattr(agents_sandbox, twin)) for name, twin in TWINS.items()
]
PRIMITIVES: list[tuple[type[Any], type[Any]]] = [
    (_aio.Channel, _blocking.Channel),
    (_aio.Stream, _blocking.Stream),
    (_aio.TimedLock, _blocking.TimedLock),
    (_aio.Reader, _blocking.Reader),
    (_aio.Mailbox, _blocking.Mailbox),
    (_aio.CleanUp, _blocking.CleanUp),
]


def methods(kind: type[Any]) -> dict[str, FunctionType]:
    """Return the methods that a class of ours makes public, special ones included.

    Finalizers are excluded: they are not called, and one flavour may do without.
    """
    return {
        name: function
        for base in reversed(kind.__mro__)
        if base.__module__.startswith("agents_sandbox")
        for name, function in vars(base).items()
        if isinstance(function, FunctionType)
        and (name[0] != "_" or name.startswith("__"))
        and name != "__del__"
    }


def translated(text: str) -> str:
    return re.sub(r"\w+", lambda word: RENAMED.get(word[0], word[0]), text)


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any, str]]:
    return [
        (parameter.name, parameter.kind, parameter.default, translated(str(parameter.annotation)))
        for parameter in inspect.signature(function).parameters.values()
    ]


def returned(function: Callable[..., Any]) -> str:
    return translated(str(inspect.signature(function).return_annotation))


METHOD_PAIRS = [
    pytest.param(function, blocking, name, id=f"{kind.__name__}.{name}")
    for kind, twin in PAIRS
    for name, function in methods(kind).items()
    for blocking in [methods(twin).get(translated(name))]
]


def test_all_is_sorted_and_complete() -> None:
    exported = agents_sandbox.__all__
    assert exported == sorted(set(exported))
    public = {
        name
        for name, value in vars(agents_sandbox).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    public |= set(agents_sandbox._ON_FIRST_USE)
    assert public == set(exported) - {"__version__"}


def test_dir_shows_public_names_and_modules() -> None:
    shown = {name for name in dir(agents_sandbox) if not name.startswith("_")}
    names = set(agents_sandbox.__all__) - {"__version__"}
    assert shown >= names
    assert all(inspect.ismodule(getattr(agents_sandbox, name)) for name in shown - names)


@pytest.mark.parametrize("name", agents_sandbox.__all__)
def test_every_public_name_is_the_packages_own(name: str) -> None:
    value = getattr(agents_sandbox, name)
    if inspect.isclass(value):
        assert value.__module__ == "agents_sandbox"
        assert value.__qualname__ == name
        assert value.__doc__


def test_the_version_is_that_of_the_distribution() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", agents_sandbox.__version__)
    try:
        installed = importlib.metadata.version("agents-sandbox")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed")  # it runs from the source: there is nothing to compare with
    assert agents_sandbox.__version__ == installed


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("agents_sandbox").joinpath("py.typed").is_file()


# What another SDK of the same daemon loads: the daemon's own package name, in the pool that all
# generated code shares, under the most likely file name.
ANOTHER_SDK = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
for package in "agbox.v1", "google.rpc":
    path = package.replace(".", "/") + "/service.proto"
    file = descriptor_pb2.FileDescriptorProto(name=path, package=package, syntax="proto3")
    for name in "PingRequest", "CreateSpec", "SandboxHandle", "Status", "ErrorInfo":
        message = file.message_type.add(name=name)
        message.field.add(name="other", number=1, type=9, label=1)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    handle = descriptor_pool.Default().FindMessageTypeByName(package + ".SandboxHandle")
    assert message_factory.GetMessageClass(handle)(other="x").SerializeToString() == b"\\n\\x01x"
"""
OURS = """
import agents_sandbox
from agents_sandbox._wire import v02_pb2, v04_pb2
assert v02_pb2.CreateSpec(image="x").SerializeToString() == b"\\n\\x01x"
assert v04_pb2.CreateSpec(gpus="all").SerializeToString() == b"r\\x03all"
"""


@pytest.mark.unmeasured
@pytest.mark.once
@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize("order", [(ANOTHER_SDK, OURS), (OURS, ANOTHER_SDK)], ids=["last", "first"])
def test_another_sdk_of_the_same_daemon_can_be_loaded_too(
    order: tuple[str, str], implementation: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "".join(order)],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(("kind", "twin"), [*PAIRS, *PRIMITIVES])
def test_both_flavours_have_the_same_methods(kind: type[Any], twin: type[Any]) -> None:
    assert {translated(name) for name in methods(kind)} == methods(twin).keys()
    assert twin.__name__ == translated(kind.__name__) or (kind, twin) in PRIMITIVES


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_both_flavours_are_documented_alike(kind: type[Any], twin: type[Any]) -> None:
    assert kind.__doc__ == twin.__doc__
    assert translated(str(kind.__bases__)) == str(twin.__bases__)


@pytest.mark.parametrize(("function", "blocking", "name"), METHOD_PAIRS)
def test_each_method_has_its_twin(
    function: Callable[..., Any], blocking: Callable[..., Any], name: str
) -> None:
    assert parameters(blocking) == parameters(function)
    assert returned(blocking) == returned(function)
    assert blocking.__doc__ == function.__doc__
    assert bool(function.__doc__) is not name.startswith("__")


@pytest.mark.parametrize(("kind", "twin"), [*PAIRS, *PRIMITIVES])
def test_one_flavour_is_awaited_and_the_other_never(kind: type[Any], twin: type[Any]) -> None:
    for name, function in methods(kind).items():
        plain = {name, f"{kind.__name__}.{name}"} & NOT_AWAITED
        assert inspect.iscoroutinefunction(function) is not bool(plain), name
    assert not any(map(inspect.iscoroutinefunction, methods(twin).values()))


def test_both_primitives_have_the_same_names() -> None:
    assert _aio.__all__ == _blocking.__all__


@pytest.mark.parametrize(
    ("function", "blocking"),
    [
        pytest.param(function, methods(twin)[translated(name)], id=f"{kind.__name__}.{name}")
        for kind, twin in PRIMITIVES
        for name, function in methods(kind).items()
        # One context manager is a class, its twin a generator.
        if (kind, name) not in {(_aio.Stream, "__init__"), (_aio.TimedLock, "held")}
    ],
)
def test_both_primitives_take_and_return_the_same(
    function: Callable[..., Any], blocking: Callable[..., Any]
) -> None:
    assert parameters(blocking) == parameters(function)
    assert returned(blocking) == returned(function)


# Source: the user's documentation.
SLOW = {
    "create_sandbox": True,
    "resume_sandbox": True,
    "stop_sandbox": True,
    "delete_sandbox": True,
    "create_exec": False,
    "cancel_exec": True,
}
QUERIES = ["ping", "get_sandbox", "list_sandboxes", "get_exec", "list_active_execs"]


@pytest.mark.parametrize("client", [AgentsSandboxClient, SyncAgentsSandboxClient])
class TestDocumentedSignatures:
    @pytest.mark.parametrize(("method", "default"), SLOW.items())
    def test_slow_operations_wait_or_not(
        self, client: type[Any], method: str, default: bool
    ) -> None:
        wait = inspect.signature(getattr(client, method)).parameters["wait"]
        assert wait.default is default
        assert wait.kind is inspect.Parameter.KEYWORD_ONLY

    @pytest.mark.parametrize("method", [*QUERIES, "run", "subscribe_sandbox_events"])
    def test_the_others_know_no_wait(self, client: type[Any], method: str) -> None:
        assert "wait" not in inspect.signature(getattr(client, method)).parameters

    def test_nothing_is_required_to_make_one(self, client: type[Any]) -> None:
        inspect.signature(client).bind()
        inspect.signature(client).bind("/run/agboxd.sock")

    def test_documented_calls_bind(self, client: type[Any]) -> None:
        def binds(method: str, *args: Any, **kwargs: Any) -> None:
            inspect.signature(getattr(client, method)).bind(None, *args, **kwargs)

        binds(
            "create_sandbox",
            image="img",
            sandbox_id="demo-sandbox",
            mounts=(),
            required_services=(),
            optional_services=(),
            config_yaml="",
            wait=False,
        )
        binds("create_exec", "box-1", ("ls",), exec_id="my-exec", wait=True)
        binds("run", "box-1", ("ls",))
        binds("subscribe_sandbox_events", "box-1", from_sequence=0)
        binds("list_active_execs", sandbox_id="box-1")

    def test_everything_that_creates_sandboxes_takes_the_same(self, client: type[Any]) -> None:
        def taken(function: Any) -> set[str]:
            return {*inspect.signature(function).parameters} - {"self", "timeout_seconds"}

        taken_by_all = {*SandboxArguments.__annotations__}
        assert taken(client.create_sandbox) == {*taken_by_all, "wait"}
        of_blocks = {"cleanup_timeout_seconds", "keep", "workspace"}
        assert taken(client.sandbox) == taken_by_all | of_blocks

    def test_the_filter_of_running_execs_is_keyword_only(self, client: type[Any]) -> None:
        sandbox_id = inspect.signature(client.list_active_execs).parameters["sandbox_id"]
        assert (sandbox_id.kind, sandbox_id.default) == (inspect.Parameter.KEYWORD_ONLY, None)


@pytest.mark.parametrize("method", ["ping", "create_sandbox", "run", "start_exec", "sandbox"])
@pytest.mark.parametrize("kind", [AgentsSandboxClient, SyncAgentsSandboxClient])
async def test_python_names_the_client_for_all_its_methods(kind: type[Any], method: str) -> None:
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\.{method}\(\) .*'imagee'"):
        await getattr(kind("/nowhere"), method)("box-1", ("true",), imagee=1)
    function = getattr(kind, method)
    assert function.__qualname__ == f"{kind.__name__}.{method}"
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("timeout_seconds", [0, 0.0, False])
def test_a_stream_refuses_a_timeout_of_zero_as_all_calls_do(timeout_seconds: float) -> None:
    client = SyncAgentsSandboxClient("/nowhere")
    with pytest.raises(agents_sandbox.InvalidArgumentError, match="timeout_seconds"):
        client.subscribe_sandbox_events("box-1", timeout_seconds=timeout_seconds)
