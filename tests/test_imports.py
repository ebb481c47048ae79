"""What an import loads, and that the rest is there on its first use, whenever that is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from agents_sandbox.testing import FakeDaemon

from .releases import any_release

# What the comparison starts from: gRPC, and the messages that ours are made of.
BASE = """
import grpc, grpc.aio
import google.protobuf.message
import google.protobuf.any_pb2, google.protobuf.duration_pb2, google.protobuf.timestamp_pb2
"""

# What each program pays for on top of that. Measure before you add to it: what few programs need
# can be imported where it is used.
ON_TOP = {
    "_queue",  # hands work to threads, also where gevent has replaced `queue`
    "dataclasses",  # the models
    # An option of the blocking client's channels. gRPC loads them with the first channel, too.
    *("grpc.experimental", "grpc._simple_stubs"),
}

# Parts of the package that load when they are used.
ON_FIRST_USE = {
    *("_execs.output", "_execs.process", "_sandboxes"),
    *("_cli", "_scripts", "_workspace", "testing"),
}


def run(program: str, *arguments: str) -> list[str]:
    """Run a program in a fresh interpreter, and return the words that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments],
        # Coverage would load half of the standard library.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def loaded_by(program: str, *, after: str = "") -> set[str]:
    """Return the modules that a program loads on top of what another one has loaded."""
    return {*run(f"{after}\nimport sys; known = {{*sys.modules}}\n{program}\n{_REPORT}")}


_REPORT = "print(*{*sys.modules} - known)"


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "agents_sandbox"}


def unwanted(modules: set[str], parts: set[str]) -> set[str]:
    """Return our modules that belong to some parts of the package, in either flavour."""
    folders = ("", "_async.", "_sync_generated.")
    prefixes = tuple(f"agents_sandbox.{folder}{part}." for folder in folders for part in parts)
    return {name for name in modules if f"{name}.".startswith(prefixes)}


@pytest.mark.parametrize(
    ("client", "other_flavour"),
    [
        ("AgentsSandboxClient", {"_sync_generated", "_blocking"}),
        # gRPC itself loads its asyncio half.
        ("SyncAgentsSandboxClient", {"_async", "_aio"}),
    ],
)
def test_a_client_loads_little_beside_grpc(client: str, other_flavour: set[str]) -> None:
    modules = loaded_by(f"from agents_sandbox import {client}", after=BASE)
    assert modules - ours(modules) <= ON_TOP  # neither yaml nor what tests need
    assert unwanted(modules, other_flavour | ON_FIRST_USE) == set()


def test_the_names_of_unwanted_parts_are_those_of_modules() -> None:
    program = "from agents_sandbox import *; import agents_sandbox.testing, agents_sandbox._cli"
    modules = loaded_by(program)
    for part in ON_FIRST_USE | {"_aio", "_async", "_blocking", "_sync_generated"}:
        assert unwanted(modules, {part}), part


def test_models_and_errors_load_no_grpc() -> None:
    modules = loaded_by("from agents_sandbox import SandboxHandle, SandboxNotFoundError")
    assert "agents_sandbox.models" in modules
    assert not {"asyncio", "google.protobuf", "grpc", "logging"} & modules


@pytest.mark.once
@pytest.mark.unmeasured
def test_each_name_can_be_the_first_one() -> None:
    program = """
    import os
    import agents_sandbox

    for name in agents_sandbox._ON_FIRST_USE:
        child = os.fork()
        if not child:
            assert name not in vars(agents_sandbox)
            getattr(agents_sandbox, name)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            print(name)
    print(*agents_sandbox._ON_FIRST_USE)
    """
    words = run(BASE + textwrap.dedent(program))
    assert words[: len(words) // 2] == words[len(words) // 2 :]


def test_a_first_use_is_like_any_other() -> None:
    program = """
    import inspect, pickle, typing
    from unittest import mock
    import agents_sandbox as package

    assert {*package.__all__} <= {*dir(package)}
    assert not hasattr(package, "SandboxClient")

    with mock.patch("agents_sandbox.SyncAgentsSandboxClient") as double:
        assert package.SyncAgentsSandboxClient is double
    assert package.SyncAgentsSandboxClient is not double
    assert not isinstance(double, package.SyncSandboxEventStream)

    assert pickle.loads(b"cagents_sandbox\\nExecOutput\\n.").__name__ == "ExecOutput"
    assert typing.get_type_hints(package.ExecResult)["exec_id"] is str
    for name in package._ON_FIRST_USE:
        value = getattr(package, name)
        if inspect.isclass(value):
            assert inspect.getmodule(value) is package, name
            assert repr(value) == f"<class 'agents_sandbox.{name}'>"
    """
    assert run(program) == []


@pytest.mark.unmeasured
def test_threads_can_begin_with_different_names() -> None:
    program = """
    import sys, threading
    import agents_sandbox

    def use(name):
        together.wait()
        found[name] = getattr(agents_sandbox, name)

    found, names = {}, [*agents_sandbox._ON_FIRST_USE]
    together = threading.Barrier(len(names))
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=use, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(found.keys() == {*names}, found == {name: vars(agents_sandbox)[name] for name in names})
    """
    assert run(program) == ["True", "True"]


_IN_THE_MIDST = """
import sys

class InTheMidst:
    '''Calls a function in the midst of the first use of the blocking client.'''

    def __init__(self, function):
        self.function = function

    def find_spec(self, name, path, target=None):
        if name == "agents_sandbox._sync_generated._waits" and self in sys.meta_path:
            sys.meta_path.remove(self)
            self.function()
"""


@pytest.mark.unmeasured
def test_a_child_that_is_forked_in_the_midst_of_a_first_use_has_its_own() -> None:
    program = """
    import os, signal, threading
    import agents_sandbox

    def use():
        os.write(1, agents_sandbox.SyncAgentsSandboxClient.__name__.encode() + b"\\n")

    in_the_midst, forking = threading.Event(), threading.Event()
    os.register_at_fork(before=forking.set)
    sys.meta_path.insert(0, InTheMidst(lambda: (in_the_midst.set(), forking.wait())))
    thread = threading.Thread(target=use)
    thread.start()
    in_the_midst.wait()
    child = os.fork()
    if not child:
        signal.alarm(10)  # otherwise a hanging child would go unnoticed
        use()
        os._exit(0)
    thread.join()
    print(os.waitpid(child, 0)[1])
    """
    client = "SyncAgentsSandboxClient"
    # The warning is the point of the test: threads are running.
    silent = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
    words = run(silent + BASE + _IN_THE_MIDST + textwrap.dedent(program))
    assert sorted(words) == ["0", client, client]


def test_a_first_use_that_was_interrupted_can_be_repeated() -> None:
    program = """
    import signal
    import agents_sandbox

    sys.meta_path.insert(0, InTheMidst(lambda: signal.raise_signal(signal.SIGINT)))
    try:
        agents_sandbox.SyncAgentsSandboxClient
    except KeyboardInterrupt:
        print("interrupted")
    print(agents_sandbox.SyncAgentsSandboxClient.__name__)
    """
    words = run(_IN_THE_MIDST + textwrap.dedent(program))
    assert words == ["interrupted", "SyncAgentsSandboxClient"]


@any_release
@pytest.mark.unmeasured
@pytest.mark.parametrize("moment", ["signal", "exit"])
def test_a_handler_can_be_the_first_to_use_a_client(daemon: FakeDaemon, moment: str) -> None:
    program = """
    import atexit, signal, sys
    import agents_sandbox

    def clean_up(*_):
        with agents_sandbox.SyncAgentsSandboxClient(sys.argv[1]) as client:
            sandbox_id = client.create_sandbox(image="a:1").sandbox_id
            print(client.delete_sandbox(sandbox_id).state.name, flush=True)

    if sys.argv[2] == "exit":
        atexit.register(clean_up)
    else:
        signal.signal(signal.SIGUSR1, clean_up)
        signal.raise_signal(signal.SIGUSR1)
    """
    assert run(program, daemon.socket_path, moment) == ["DELETED"]


def test_an_import_changes_nothing_else_in_the_process() -> None:
    program = """
    import atexit, logging, os, signal, sys, threading, warnings
    import pytest  # which loads the plugin; with Python 3.10, it changes `sys.excepthook`

    sys.dont_write_bytecode = True
    WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    EVENTS = ("os.", "shutil.", "socket.", "subprocess.", "tempfile.")
    READS = ("os.listdir", "os.scandir")
    OURS = ("agents_sandbox", "pytest_agents_sandbox")
    done = []

    def hear(event, arguments):
        if event == "open" and arguments[2] & WRITES:
            done.append(f"open:{arguments[0]}")
        elif event.startswith(EVENTS) and event not in READS:
            done.append(event)

    def noting(function, what):
        def note(*args, **kwargs):
            for one in (*args, *kwargs.values()):
                if str(getattr(one, "__module__", "")).startswith(OURS):
                    done.append(f"{what}:{one.__module__}.{one.__qualname__}")
            return function(*args, **kwargs)
        return note

    def state():
        native = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1
        return (
            [signal.getsignal(number) for number in sorted(signal.valid_signals())],
            [{**os.environ}, os.getcwd(), *sys.path, *sys.meta_path, *sys.path_hooks],
            [sys.excepthook, sys.unraisablehook, sys.getswitchinterval(), threading.excepthook],
            [*warnings.filters, *logging.root.handlers, logging.root.level, logging.lastResort],
            [threading.active_count(), native],
        )

    atexit.register = noting(atexit.register, "exit")
    os.register_at_fork = noting(os.register_at_fork, "fork")
    before = state()
    sys.addaudithook(hear)
    from agents_sandbox import *
    import agents_sandbox.testing, pytest_agents_sandbox
    after = state()
    print(*done)
    assert before == after, (before, after)
    """
    assert sorted(run(program)) == [
        # Finishes the clean-up of blocks whose event loop has ended.
        "exit:agents_sandbox._aio.clean_up._finish_in_another_loop",
        # Keep what the SDK holds usable in a child, and have nothing to do before the first use.
        "fork:agents_sandbox._aio.channel._after_fork_in_child",
        "fork:agents_sandbox._aio.channel._before_fork",
        "fork:agents_sandbox._aio.clean_up._leave_to_parent",
    ]
