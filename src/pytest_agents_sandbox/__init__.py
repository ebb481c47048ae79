"""The pytest plugin of agents-sandbox: fixtures for a fake daemon and its clients.

pytest imports every installed plugin at startup, together with the plugin's parent packages. This
package is therefore not part of `agents_sandbox`: gRPC and protobuf load with the first fixture.
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
