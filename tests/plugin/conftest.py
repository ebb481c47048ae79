"""A pytest with the plugin, run on test files that the tests write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RunPytest = Callable[..., pytest.RunResult]

# Loads the plugin where it is not installed, and is the same plugin where it is.
ARGUMENTS = (
    *("-p", "pytest_agents_sandbox", "-W", "error", "--strict-markers", "-rA"),
    # pytest-asyncio warns where it is not said.
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> RunPytest:
    """Write a test file and run it: `run_pytest(code, *arguments)`."""

    # The pytest around this one has imported the plugin before.
    tolerant = (*ARGUMENTS, "-W", "ignore::pytest.PytestAssertRewriteWarning")

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(code)
        return pytester.runpytest_inprocess(*tolerant, *arguments)

    return run


@pytest.fixture
def run_pytest_apart(pytester: pytest.Pytester) -> RunPytest:
    """Do the same in a fresh process, for what depends on the modules that are loaded."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(code)
        return pytester.runpytest_subprocess(*ARGUMENTS, *arguments)

    return run
