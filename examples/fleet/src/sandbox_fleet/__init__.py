"""Runs jobs in sandboxes on many hosts: Dask chooses the host, the daemon there does the rest.

Each host has a daemon and a Dask worker, with this module installed. The threads of the worker are
the sandboxes that the host runs at once:

    dask worker tcp://scheduler:8786 --name "$(hostname)" --nworkers 1 --nthreads 20

A job can run twice, if its worker is lost before the result has arrived. Its outcome comes once.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from distributed import Client, Reschedule, Worker, WorkerPlugin, as_completed, get_worker

from agents_sandbox import (
    ClientClosedError,
    DaemonUnavailableError,
    SandboxClientError,
    SyncAgentsSandboxClient,
)

LONGEST = "24h"  # no job may take longer: what is older is left over
CREATE_SECONDS = 600  # the first sandbox on a host pulls the image
MOST_BYTES = 65_536  # what comes back of the output: the end of it

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A command, and the image of the sandbox in which it runs alone."""

    name: str
    image: str
    command: tuple[str, ...]
    timeout_seconds: float = 600


@dataclass(frozen=True)
class Outcome:
    """What a job did. Without an exit code, `error` says why there is none."""

    job: str
    worker: str
    exit_code: int | None
    stdout: str = ""
    error: str | None = None


class SandboxHost(WorkerPlugin):
    """The client of a worker. All its threads share it."""

    idempotent = True  # many programs may use one fleet

    def __init__(self, fleet: str) -> None:
        self.fleet = fleet
        self.name = plugin_name(fleet)

    async def setup(self, worker: Worker) -> None:
        """Delete what was left behind, before the first job; without a daemon, leave the fleet."""
        self.labels = {"fleet": self.fleet, "worker": str(worker.name)}
        self.client = SyncAgentsSandboxClient()
        try:
            await asyncio.to_thread(self.delete_leftovers)
        except SandboxClientError:
            logger.exception("%s leaves the fleet", worker.name)
            leave(worker)

    def delete_leftovers(self) -> None:
        """Delete what killed workers have left on this host."""
        # The last worker of this name was killed, or it has deleted its sandboxes itself.
        self.client.delete_sandboxes(self.labels)
        # Others may never come back under their name.
        self.client.delete_leftovers({"fleet": self.fleet}, older_than=LONGEST)

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """Close the client. Blocks that are open delete their sandboxes all the same."""
        await asyncio.to_thread(self.client.close)


def run_jobs(client: Client, fleet: str, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """Yield the outcomes as they come in. Programs that share a fleet share its name, too."""
    client.register_plugin(SandboxHost(fleet))
    # Nothing else holds on to the futures: workers forget an outcome when it has arrived.
    for future in as_completed(client.map(run_job, list(jobs), fleet=fleet, pure=False)):
        yield future.result()


def run_job(job: Job, fleet: str) -> Outcome:
    """Run a job, in a thread of a worker."""
    worker = get_worker()
    host = worker.plugins[plugin_name(fleet)]
    assert isinstance(host, SandboxHost)
    try:
        with host.client.sandbox(
            image=job.image,
            labels={**host.labels, "job": job.name},
            timeout_seconds=CREATE_SECONDS,
        ) as sandbox:
            result = sandbox.run(
                job.command, timeout_seconds=job.timeout_seconds, max_output_bytes=MOST_BYTES
            )
    except (DaemonUnavailableError, ClientClosedError):
        leave(worker)
        raise Reschedule from None
    except SandboxClientError as error:
        return Outcome(job.name, str(worker.name), None, error=str(error))
    return Outcome(job.name, str(worker.name), result.exit_code, result.stdout, result.error)


def leave(worker: Worker) -> None:
    """Close a worker without a daemon: it would fail jobs faster than others can run them."""
    worker.loop.add_callback(worker.close_gracefully)


def plugin_name(fleet: str) -> str:
    return f"sandboxes of {fleet}"
