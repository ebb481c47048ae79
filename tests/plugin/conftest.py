"""Runs pytest with the plugin on test files that the tests write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RunPytest = Callable[..., pytest.RunResult]

# This loads the plugin if it is not installed; if it is, it is the same plugin.
ARGUMENTS = (
    *("-p", "pytest_agents_sandbox", "-W", "error", "--strict-markers", "-rA"),
    # pytest-asyncio warns if this is not set.
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> RunPytest:
    """Write a test file and run it: `run_pytest(code, *arguments)`."""

    # The outer pytest has already imported the plugin.
    tolerant = (*ARGUMENTS, "-W", "ignore::pytest.PytestAssertRewriteWarning")

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(code)
        return pytester.runpytest_inprocess(*tolerant, *arguments)

    return run


@pytest.fixture
def run_pytest_apart(pytester: pytest.Pytester) -> RunPytest:
    """Do the same in a fresh process, for tests that depend on which modules are loaded."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(code)
        return pytester.runpytest_subprocess(*ARGUMENTS, *arguments)

    return run
