"""An integration test: the sandbox has a PostgreSQL server beside it, in a container of its own.

    pytest test_with_postgres.py
    pytest test_with_postgres.py --agents-sandbox-versions=0.2.1,0.4.3
    pytest test_with_postgres.py --agents-sandbox-socket PATH

The first two use the fake daemon, with scripts for psql; the third a real daemon and PostgreSQL.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from agents_sandbox import (
    CompanionContainerSpec,
    HealthcheckConfig,
    ServiceSpec,
    SyncAgentsSandboxClient,
    SyncSandbox,
    UnsupportedByDaemonError,
)

IMAGE = "ghcr.io/your-team/orders:latest"  # your program, and psql
CONNECTION = {"PGHOST": "postgres", "PGUSER": "postgres", "PGPASSWORD": "secret"}
HEALTHCHECK = HealthcheckConfig(("CMD-SHELL", "pg_isready -U postgres"), interval="500ms")
POSTGRES: dict[str, Any] = {
    "name": "postgres",
    "image": "postgres:16",
    "envs": {"POSTGRES_PASSWORD": "secret"},
    "healthcheck": HEALTHCHECK,
}
EITHER: dict[str, dict[str, Any]] = {
    # With every daemon.
    "service": {"required_services": [ServiceSpec(**POSTGRES)]},
    # With daemons since 0.3.0; limits need 0.4.1.
    "companion": {"companion_containers": [CompanionContainerSpec(**POSTGRES)]},
}

# Daemons since 0.3.0 start a service, and do not wait until it is healthy.
WAIT = "until pg_isready --quiet; do sleep 0.2; done"

SCHEMA = "create table orders (item text); insert into orders values ('tea'), ('cake')"
COUNT = "select count(*) from orders"


@pytest.fixture(params=EITHER)
def sandbox(
    request: pytest.FixtureRequest, sync_agents_sandbox_client: SyncAgentsSandboxClient
) -> Iterator[SyncSandbox]:
    database = EITHER[request.param]
    try:
        with sync_agents_sandbox_client.sandbox(image=IMAGE, envs=CONNECTION, **database) as ready:
            ready.run(("sh", "-c", WAIT), check=True, timeout_seconds=60)
            yield ready
    except UnsupportedByDaemonError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def scripts(request: pytest.FixtureRequest) -> None:
    """Without a real daemon there is no PostgreSQL: scripts stand in for the commands."""
    if request.config.getoption("agents_sandbox_socket") is None:
        daemon = request.getfixturevalue("agents_sandbox_daemon")
        daemon.on_exec(("sh", "-c", WAIT))
        daemon.on_exec(prefix=("psql",), env=CONNECTION)
        daemon.on_exec(lambda argv: argv[-1] == COUNT).stdout("2\n")


def test_orders_are_counted(sandbox: SyncSandbox) -> None:
    sandbox.run(("psql", "--command", SCHEMA), check=True)
    counted = sandbox.run(("psql", "--tuples-only", "--no-align", "--command", COUNT), check=True)
    assert counted.stdout == "2\n"
