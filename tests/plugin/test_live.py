"""The same tests against a live daemon; the outer test's fake daemon plays its role."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents_sandbox.testing import FakeDaemon

from .conftest import RunPytest

pytestmark = pytest.mark.once

OPTION = "--agents-sandbox-socket"


def test_both_clients_meet_the_live_daemon(run_pytest: RunPytest, daemon: FakeDaemon) -> None:
    result = run_pytest(
        """
        import asyncio
        import pytest

        @pytest.mark.agents_sandbox(leaks=False)
        def test_it(agents_sandbox_client, sync_agents_sandbox_client, agents_sandbox_socket):
            sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1", sandbox_id="live")
            asyncio.run(agents_sandbox_client.get_sandbox("live"))
        """,
        f"{OPTION}={daemon.socket_path}",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"agents-sandbox: live daemon at {daemon.socket_path}"])
    assert daemon.calls[1].request.sandbox_id == "live"
    assert daemon.calls[-1].method == "GetSandbox"


def test_tests_that_need_the_fake_daemon_are_skipped_with_the_reason(
    run_pytest: RunPytest, daemon: FakeDaemon
) -> None:
    result = run_pytest(
        """
        import pytest

        def test_fixture(sync_agents_sandbox_client, agents_sandbox_daemon):
            assert False

        @pytest.mark.agents_sandbox(version="0.2.0", exec_mode="passthrough", faults=print)
        def test_marker(agents_sandbox_client):
            assert False
        """,
        OPTION,
        daemon.socket_path,
    )
    result.assert_outcomes(skipped=2)
    reason = "the test {}, so it needs the fake daemon; *" + daemon.socket_path
    result.stdout.fnmatch_lines(
        [
            "SKIPPED * " + reason.format("uses the fixture agents_sandbox_daemon"),
            "SKIPPED * " + reason.format("sets exec_mode, version, faults in its marker"),
        ]
    )
    assert daemon.calls == ()


def test_a_wrong_mark_fails_here_too(run_pytest: RunPytest, daemon: FakeDaemon) -> None:
    result = run_pytest(
        """
        import pytest

        @pytest.mark.agents_sandbox(exec_node=1)
        def test_it(agents_sandbox_client):
            pass
        """,
        f"{OPTION}={daemon.socket_path}",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*does not accept exec_node*"])


def test_a_relative_path_starts_where_pytest_did(run_pytest: RunPytest) -> None:
    with FakeDaemon(socket_path=Path("agboxd.sock")) as daemon:
        result = run_pytest(
            """
            import os
            import pytest

            @pytest.fixture(autouse=True)
            def elsewhere(tmp_path, monkeypatch):
                monkeypatch.chdir(tmp_path)

            def test_it(sync_agents_sandbox_client):
                sync_agents_sandbox_client.ping()
            """,
            f"{OPTION}=agboxd.sock",
        )
    result.assert_outcomes(passed=1)
    assert [call.method for call in daemon.calls] == ["Ping"]


@pytest.mark.parametrize("written", ["~/a.sock", "$HOME/a.sock", "unix://~/a.sock"])
def test_a_path_can_be_written_as_for_a_client(
    run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    result = run_pytest("", f"{OPTION}={written}")
    result.stdout.fnmatch_lines(["agents-sandbox: live daemon at /home/me/a.sock"])


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("host:80", "network address such as 'host:80'"),
        ("$NOT_SET_HERE/a.sock", "begins with '$NOT_SET_HERE'"),
        ("", "must not be empty"),
    ],
)
def test_a_path_that_no_client_takes_is_refused_before_any_test(
    run_pytest: RunPytest, written: str, why: str
) -> None:
    result = run_pytest("def test_it(): pass", f"{OPTION}={written}")
    assert result.ret == 4
    assert f"{OPTION}: socket_path" in result.stderr.str()
    assert why in result.stderr.str()


def test_the_version_of_a_live_daemon_cannot_be_chosen(run_pytest: RunPytest) -> None:
    result = run_pytest("", f"{OPTION}=/tmp/agboxd.sock", "--agents-sandbox-version=0.2.0")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --agents-sandbox-version*pass only one of them"])
