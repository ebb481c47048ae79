"""The releases that tests run with: the default, the options, and several for one test."""

from __future__ import annotations

import pytest

from agents_sandbox.testing import RELEASES, FakeDaemon
from pytest_agents_sandbox._options import NEWEST

from .conftest import RunPytest

pytestmark = pytest.mark.once

# One test in each flavour; each prints the release of its daemon.
TESTS = """
    import asyncio
    import pytest

    def test_blocking(sync_agents_sandbox_client):
        print("blocking", sync_agents_sandbox_client.ping().version)

    def test_async(agents_sandbox_client):
        print("async", asyncio.run(agents_sandbox_client.ping()).version)
"""
MARK = "\n    pytestmark = pytest.mark.agents_sandbox({})\n"


def seen(result: pytest.RunResult, flavour: str) -> list[str]:
    """The releases that the tests of a flavour printed."""
    lines = (line.split() for line in result.outlines)
    return [words[1] for words in lines if len(words) == 2 and words[0] == flavour]


def test_the_default_is_that_of_the_daemon() -> None:
    assert FakeDaemon().version == NEWEST == RELEASES[-1]


@pytest.mark.parametrize(
    ("mark", "arguments", "expected"),
    [
        ("", (), [NEWEST]),
        ("", ("-o", "agents_sandbox_version=0.3.0"), ["0.3.0"]),
        ("", ("-o", "agents_sandbox_version=0.3.0", "--agents-sandbox-version=0.2.0"), ["0.2.0"]),
        ("", ("--agents-sandbox-versions=0.2.1, 0.4.3",), ["0.2.1", "0.4.3"]),
        ("", ("--agents-sandbox-versions=all",), list(RELEASES)),
        (MARK.format("versions='all'"), (), list(RELEASES)),
        (MARK.format("versions=['dev', '0.2.1']"), (), ["dev", "0.2.1"]),
        (MARK.format("versions=('0.2.1',)"), ("--agents-sandbox-version=0.3.0",), ["0.2.1"]),
        (MARK.format("versions=['0.2.1']"), ("--agents-sandbox-versions=all",), ["0.2.1"]),
        (MARK.format("version='0.2.1'"), ("--agents-sandbox-versions=all",), ["0.2.1"]),
    ],
)
def test_releases_of_a_test(
    run_pytest: RunPytest, mark: str, arguments: tuple[str, ...], expected: list[str]
) -> None:
    result = run_pytest(TESTS + mark, *arguments)
    result.assert_outcomes(passed=2 * len(expected))
    assert seen(result, "blocking") == seen(result, "async") == expected


def test_the_closest_mark_applies(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest
        pytestmark = pytest.mark.agents_sandbox(versions=["0.2.0", "0.4.3"])

        def test_module(agents_sandbox_daemon):
            pass

        @pytest.mark.agents_sandbox(version="0.3.0")
        class TestClass:
            def test_class(self, agents_sandbox_daemon):
                assert agents_sandbox_daemon.version == "0.3.0"

            @pytest.mark.agents_sandbox(versions=["0.2.1"])
            def test_function(self, agents_sandbox_daemon):
                assert agents_sandbox_daemon.version == "0.2.1"

        def test_without_a_daemon():
            pass
        """,
        "-v",
    )
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        ["*::test_module[[]0.2.0] *", "*::test_module[[]0.4.3] *", "*::test_function[[]0.2.1] *"]
    )


@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        ((), f"fake daemon {NEWEST}"),
        (("-o", "agents_sandbox_version=0.3.0"), "fake daemon 0.3.0"),
        (("--agents-sandbox-version=0.2.0",), "fake daemon 0.2.0"),
        (("--agents-sandbox-versions=0.2.0,0.2.1",), "fake daemon 0.2.0, 0.2.1"),
        (("--agents-sandbox-versions=all",), "fake daemons of all releases"),
    ],
)
def test_the_header_names_them(
    run_pytest: RunPytest, arguments: tuple[str, ...], header: str
) -> None:
    result = run_pytest("", *arguments)
    result.stdout.fnmatch_lines([f"agents-sandbox: {header}"])


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ("versions=[]", "versions= must be 'all' or a list of versions: []"),
        ("versions='0.2.1'", "versions= must be 'all' or a list of versions: '0.2.1'"),
        ("versions=[1]", "versions= must be 'all' or a list of versions: [1]"),
        ("versions=['0.2.1'], version='0.2.1'", "accepts only one of version= and versions="),
    ],
)
def test_a_wrong_list_is_reported_without_a_traceback(
    run_pytest: RunPytest, mark: str, complaint: str
) -> None:
    result = run_pytest(TESTS + MARK.format(mark))
    result.assert_outcomes(errors=1)
    assert f"::test_blocking: @pytest.mark.agents_sandbox {complaint}\n" in result.stdout.str()
    result.stdout.no_re_match_line(r"Traceback|\S+\.py:\d+:")


def test_an_unknown_release_is_the_error_of_its_test(run_pytest: RunPytest) -> None:
    result = run_pytest(TESTS, "--agents-sandbox-versions=9.9,0.2.1")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*::test_blocking[[]9.9]: *is wrong: daemon version '9.9' *"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("--agents-sandbox-versions=all", "--agents-sandbox-version=0.2.1"),
            "pass only one of --agents-sandbox-version and --agents-sandbox-versions",
        ),
        (
            ("--agents-sandbox-versions=all", "--agents-sandbox-socket=/tmp/agboxd.sock"),
            "--agents-sandbox-versions sets the version of the fake daemon*pass only one of them",
        ),
        (("--agents-sandbox-versions=,",), "--agents-sandbox-versions must name a version*"),
    ],
)
def test_options_that_exclude_each_other(
    run_pytest: RunPytest, arguments: tuple[str, ...], complaint: str
) -> None:
    result = run_pytest("", *arguments)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {complaint}"])


def test_a_live_daemon_has_one_release(run_pytest: RunPytest, daemon: FakeDaemon) -> None:
    result = run_pytest(
        """
        import pytest

        @pytest.mark.agents_sandbox(versions="all")
        def test_all(sync_agents_sandbox_client):
            assert sync_agents_sandbox_client.ping().version == "0.2.1"

        @pytest.mark.agents_sandbox(versions=["0.2.1"])
        def test_some(sync_agents_sandbox_client):
            assert False
        """,
        f"--agents-sandbox-socket={daemon.socket_path}",
        "-o",
        "agents_sandbox_version=0.3.0",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * the test sets versions in its marker, *"])


def test_limits_just_work(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        def test_it(sync_agents_sandbox_client, agents_sandbox_daemon):
            sync_agents_sandbox_client.create_sandbox(image="a:1", cpu_limit="2", gpus="all")
            assert agents_sandbox_daemon.sandboxes[0].spec.cpu_limit == "2"
        """
    )
    result.assert_outcomes(passed=1)
