"""Two workers, each with a fake daemon: what happens if one is killed, or has no daemon."""

import os
import runpy
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Nanny, Scheduler, SpecCluster
from sandbox_fleet import Job, Outcome, run_jobs

from agents_sandbox import ExecState, SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import ExecContext, FakeDaemon

PROGRAM = Path(__file__).parents[1] / "squares.py"

IMAGE = "python:3.13"
JOBS = [Job(str(number), IMAGE, ("square", str(number))) for number in range(20)]
SQUARES = {str(number): f"{number**2}\n" for number in range(20)}


@pytest.fixture
def hosts(tmp_path: Path) -> list[Path]:
    """What is `XDG_RUNTIME_DIR` on each host: the daemon's socket is in it."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        (folder / "agbox").mkdir(parents=True)
    return folders


def fake_daemon(host: Path) -> FakeDaemon:
    return FakeDaemon(socket_path=host / "agbox" / "agboxd.sock", unscripted="fail")


@pytest.fixture
def daemons(hosts: list[Path]) -> Iterator[list[FakeDaemon]]:
    with ExitStack() as stack:
        yield [stack.enter_context(fake_daemon(host)) for host in hosts]


@pytest.fixture
def client(hosts: list[Path]) -> Iterator[Client]:
    """A client of a cluster with one worker for each host, which runs two jobs at once."""
    workers = {
        host.name: {
            "cls": Nanny,
            "options": {"nthreads": 2, "env": {"XDG_RUNTIME_DIR": str(host)}},
        }
        for host in hosts
    }
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": Scheduler, "options": options}
    with SpecCluster(workers, scheduler) as cluster, Client(cluster) as client:
        client.wait_for_workers(len(hosts))
        yield client


def square(context: ExecContext) -> None:
    context.write_stdout(f"{int(context.argv[1]) ** 2}\n")


def check_all_is_done(outcomes: list[Outcome], daemons: list[FakeDaemon]) -> None:
    assert len(outcomes) == len(JOBS)
    assert {outcome.job: outcome.stdout for outcome in outcomes} == SQUARES
    for daemon in daemons:
        with SyncAgentsSandboxClient(daemon.socket_path) as sandboxes:
            for sandbox in daemon.sandboxes:
                sandboxes.wait_for_sandbox(sandbox.sandbox_id, SandboxState.DELETED)
        daemon.assert_no_leaks(execs=True)


def test_the_program_prints_all_squares(
    client: Client, daemons: list[FakeDaemon], capsys: pytest.CaptureFixture[str]
) -> None:
    program = runpy.run_path(str(PROGRAM))
    for daemon in daemons:
        for number, job in enumerate(program["JOBS"]):
            daemon.on_exec(job.command).stdout(f"{number**2}\n")
    program["main"](client.scheduler_info()["address"])
    lines = [f"{number} squared is {number**2}" for number in range(10)]
    assert sorted(capsys.readouterr().out.splitlines()) == lines


def test_a_job_that_fails_is_an_outcome(client: Client, daemons: list[FakeDaemon]) -> None:
    for daemon in daemons:
        daemon.on_exec(("make",)).stdout("2 failed\n").exit(2)
        daemon.on_exec(("missing",)).fail("no such program")
    jobs = [Job("make", IMAGE, ("make",)), Job("missing", IMAGE, ("missing",))]
    make, missing = sorted(run_jobs(client, "tests", jobs), key=lambda outcome: outcome.job)
    assert (make.exit_code, make.stdout) == (2, "2 failed\n")
    assert (missing.exit_code, missing.stdout) == (None, "")
    assert "no such program" in (missing.error or "")


def test_the_jobs_of_a_killed_worker_run_elsewhere(
    client: Client, daemons: list[FakeDaemon]
) -> None:
    first, second = daemons
    first.on_exec(prefix=("square",)).call(square)
    second.on_exec(prefix=("square",)).never().times(2).then().call(square)
    processes: Any = client.run(os.getpid)
    (process,) = (
        processes[address]
        for address, worker in client.scheduler_info()["workers"].items()
        if worker["name"] == "b"
    )
    outcomes = run_jobs(client, "tests", JOBS)
    arrived = [next(outcomes)]
    second.wait_for_call("CreateExec", count=2, timeout=60)
    os.kill(process, signal.SIGKILL)
    arrived += outcomes
    # The worker is started again, and deletes what the killed one has left.
    client.wait_for_workers(2)
    check_all_is_done(arrived, daemons)
    assert sum(item.state is ExecState.FAILED for item in second.execs) == 2


def test_a_host_without_a_daemon_leaves_the_fleet(client: Client, hosts: list[Path]) -> None:
    with fake_daemon(hosts[0]) as daemon:
        daemon.on_exec(prefix=("square",)).call(square)
        outcomes = list(run_jobs(client, "tests", JOBS))
        assert {outcome.worker for outcome in outcomes} == {"a"}
        check_all_is_done(outcomes, [daemon])
    assert client.cluster is not None
    client.sync(client.cluster.workers["b"].finished, callback_timeout=60)
