"""Runs programs that fork, each in its own process: see `test_forks`."""

from __future__ import annotations

import subprocess
import sys
import textwrap

_PREAMBLE = '''
import asyncio, gc, multiprocessing, os, signal, sys, threading, traceback
from agents_sandbox import *

socket = sys.argv[1]

def told(function):
    try:
        return str(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def run(use):
    return asyncio.run(use)

def wait_until_in(function, thread):
    """Wait until another thread is in a function of that name.

    gRPC does not survive a fork while a thread is on its way into or out of it; one that is
    blocked there is no harm.
    """
    names = ()
    while function not in names:
        stack = traceback.extract_stack(sys._current_frames()[thread.ident])
        names = [frame.name for frame in stack]

def child_of_fork(function):
    """Call a function in a forked child, and return what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)  # otherwise a hanging child would go unnoticed
        os.write(writing, told(function).encode())
        sys.exit()
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said if code == 0 else f"exit code {code} after {said!r}"

def child_of_multiprocessing(function):
    """The same, as `multiprocessing` does it."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def call():
        signal.alarm(60)
        answers.put(told(function))

    child = context.Process(target=call)
    child.start()
    said = None
    while said is None and (child.is_alive() or not answers.empty()):
        if not answers.empty():
            said = answers.get()
        else:
            child.join(0.01)
    child.join()
    return said if child.exitcode == 0 else f"exit code {child.exitcode} after {said!r}"

in_child = globals()[f"child_of_{sys.argv[2]}"]
'''


def run(program: str, socket_path: str, how: str = "fork") -> list[str]:
    """Run a program and return the lines that it prints.

    Args:
        program: Its source. It can use the path `socket` and the function `in_child()`.
        socket_path: The daemon's socket.
        how: `fork` or `multiprocessing`.
    """
    done = subprocess.run(
        # Unbuffered: otherwise a child also prints what its parent had buffered.
        [sys.executable, "-u", "-c", _PREAMBLE + textwrap.dedent(program), socket_path, how],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
