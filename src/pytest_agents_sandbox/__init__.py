"""The pytest plugin of agents-sandbox: a fake daemon and clients of it as fixtures.

It is a package beside `agents_sandbox` because pytest imports every installed plugin at its
start, and with a plugin all packages above it: gRPC and protobuf load with the first fixture.
"""

from ._fixtures import (
    agents_sandbox_client,
    agents_sandbox_daemon,
    agents_sandbox_socket,
    sync_agents_sandbox_client,
)
from ._hooks import (
    pytest_addoption,
    pytest_configure,
    pytest_report_header,
    pytest_runtest_makereport,
)

__all__ = [
    "agents_sandbox_client",
    "agents_sandbox_daemon",
    "agents_sandbox_socket",
    "pytest_addoption",
    "pytest_configure",
    "pytest_report_header",
    "pytest_runtest_makereport",
    "sync_agents_sandbox_client",
]
