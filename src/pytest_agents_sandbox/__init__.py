"""The pytest plugin of agents-sandbox: fixtures for a fake daemon and its clients.

pytest imports every installed plugin at startup, together with the plugin's parent packages. This
package is therefore not part of `agents_sandbox`: gRPC and protobuf load with the first fixture.
"""

from ._factory import DaemonFactory
from ._fixtures import (
    _agents_sandbox_reset,  # noqa: F401 - for pytest
    _agents_sandbox_version,  # noqa: F401 - for pytest
    agents_sandbox_client,
    agents_sandbox_daemon,
    agents_sandbox_daemon_factory,
    agents_sandbox_socket,
    sync_agents_sandbox_client,
)
from ._hooks import (
    pytest_addoption,
    pytest_configure,
    pytest_generate_tests,
    pytest_report_header,
    pytest_runtest_makereport,
)

__all__ = [
    "DaemonFactory",
    "agents_sandbox_client",
    "agents_sandbox_daemon",
    "agents_sandbox_daemon_factory",
    "agents_sandbox_socket",
    "pytest_addoption",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_report_header",
    "pytest_runtest_makereport",
    "sync_agents_sandbox_client",
]
