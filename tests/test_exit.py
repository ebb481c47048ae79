"""A program can clean up with the blocking client while its interpreter exits.

Python 3.12 starts no threads any more when that begins. In every version, daemon threads stop
running after the handlers of `atexit`.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = [any_release, pytest.mark.unmeasured]

_PREAMBLE = """
import atexit, faulthandler, sys, threading, weakref
from agents_sandbox import *

faulthandler.dump_traceback_later(60, exit=True)  # otherwise it could hang
socket = sys.argv[1]

def told(function):
    try:
        return str(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def delete(client, sandbox_id):
    print(client.delete_sandbox(sandbox_id, timeout_seconds=20).state.name, flush=True)
    client.close()
    print(told(client.ping), flush=True)
"""

CLOSED = "ClientClosedError: the client is closed: create a new one"


def run(program: str, socket_path: str) -> list[str]:
    """Run a program and return the lines that it prints."""
    command = (sys.executable, "-c", _PREAMBLE + textwrap.dedent(program), socket_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_handler_uses_a_client_of_the_program(daemon: FakeDaemon) -> None:
    program = """
    client = SyncAgentsSandboxClient(socket)
    sandbox_id = client.create_sandbox(image="a:1").sandbox_id
    atexit.register(delete, client, sandbox_id)
    """
    assert run(program, daemon.socket_path) == ["DELETED", CLOSED]


def test_a_handler_uses_a_client_that_only_other_threads_have_used(daemon: FakeDaemon) -> None:
    program = """
    client, ids = SyncAgentsSandboxClient(socket), []
    using = threading.Thread(
        target=lambda: ids.append(client.create_sandbox(image="a:1").sandbox_id)
    )
    using.start()
    using.join()
    atexit.register(delete, client, ids[0])
    """
    assert run(program, daemon.socket_path) == ["DELETED", CLOSED]


def test_a_handler_uses_a_new_client(daemon: FakeDaemon) -> None:
    program = """
    @atexit.register
    def clean_up():
        client = SyncAgentsSandboxClient(socket)
        sandbox_id = client.create_sandbox(image="a:1").sandbox_id
        print(client.run(sandbox_id, ("true",)).state.name)
        with client.subscribe_sandbox_events(sandbox_id) as events:
            print([next(events).sequence for _ in range(3)])
        delete(client, sandbox_id)
    """
    lines = ["FINISHED", "[1, 2, 3]", "DELETED", CLOSED]
    assert run(program, daemon.socket_path) == lines


def test_a_finalizer_uses_a_client(daemon: FakeDaemon) -> None:
    program = """
    class Owner:
        pass

    client, owner = SyncAgentsSandboxClient(socket), Owner()
    sandbox_id = client.create_sandbox(image="a:1").sandbox_id
    weakref.finalize(owner, delete, client, sandbox_id)
    """
    assert run(program, daemon.socket_path) == ["DELETED", CLOSED]


def test_a_thread_uses_a_client_after_the_end_of_the_main_thread(daemon: FakeDaemon) -> None:
    program = """
    def use():
        threading.main_thread().join()
        client = SyncAgentsSandboxClient(socket)
        sandbox_id = client.create_sandbox(image="a:1").sandbox_id
        print(client.run(sandbox_id, ("true",)).state.name)
        delete(client, sandbox_id)

    threading.Thread(target=use).start()
    """
    assert run(program, daemon.socket_path) == ["FINISHED", "DELETED", CLOSED]


def test_a_call_of_a_handler_ends_in_time(daemon: FakeDaemon) -> None:
    program = """
    @atexit.register
    def clean_up():
        client = SyncAgentsSandboxClient(socket)
        print(told(lambda: client.ping(timeout_seconds=0.1)).partition(":")[0])
        print(told(lambda: client.delete_sandbox("box-1", timeout_seconds=0.5)).partition(":")[0])
        client.close()
    """
    with daemon.faults.half_open():
        lines = run(program, daemon.socket_path)
    assert lines == ["OperationTimeoutError", "OperationTimeoutError"]


def test_an_object_that_is_destroyed_with_its_module_cannot_make_calls(daemon: FakeDaemon) -> None:
    program = """
    class Owner:
        client = SyncAgentsSandboxClient(socket)
        told = staticmethod(told)

        def __del__(self, print=print):
            print(self.told(self.client.ping))
            self.client.close()

    owner = Owner()
    owner.client.ping()
    """
    # Python does not promise to finalize what is left, but nearly always does.
    for line in run(program, daemon.socket_path):
        assert line.startswith("ClientClosedError")
        assert "atexit" in line


def test_a_client_and_a_stream_that_are_left_open_do_not_disturb_the_exit(
    daemon: FakeDaemon,
) -> None:
    program = """
    client = SyncAgentsSandboxClient(socket)
    sandbox_id = client.create_sandbox(image="a:1").sandbox_id
    events = client.subscribe_sandbox_events(sandbox_id)
    print(next(events).sequence)
    """
    assert run(program, daemon.socket_path) == ["1"]
    daemon.wait_for_streams(0)
