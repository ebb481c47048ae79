"""The fixtures in plain tests: what they are, and what is left when a test ends."""

from __future__ import annotations

import pytest

from pytest_agents_sandbox import _daemon

from .conftest import RunPytest

# Opens an event stream with the test's own client, and closes neither.
FORGOTTEN = """
    import pytest
    from agents_sandbox import SyncAgentsSandboxClient
    opened = []

    def leave_a_stream_open(socket_path):
        client = SyncAgentsSandboxClient(socket_path)
        sandbox = client.create_sandbox(image="a:1")
        stream = client.subscribe_sandbox_events(sandbox.sandbox_id)
        next(stream)
        opened.append((client, stream))

    def teardown_module():
        for client, _ in opened:
            client.close()
"""


def test_both_clients_meet_the_tests_daemon(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import asyncio
        import agents_sandbox
        from agents_sandbox.testing import FakeDaemon

        def test_it(agents_sandbox_daemon, agents_sandbox_client, sync_agents_sandbox_client,
                    agents_sandbox_socket):
            assert isinstance(agents_sandbox_daemon, FakeDaemon)
            assert isinstance(agents_sandbox_client, agents_sandbox.AgentsSandboxClient)
            assert isinstance(sync_agents_sandbox_client, agents_sandbox.SyncAgentsSandboxClient)
            assert agents_sandbox_socket == agents_sandbox_daemon.socket_path
            sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
            asyncio.run(agents_sandbox_client.get_sandbox(sandbox.sandbox_id))
            methods = [call.method for call in agents_sandbox_daemon.calls]
            assert methods[:2] == ["Ping", "CreateSandbox"] and methods[-1] == "GetSandbox"
        """
    )
    result.assert_outcomes(passed=1)


def test_variables_of_the_clients_do_not_change_what_a_test_sees(
    run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_SANDBOX_SOCKET", "/nowhere/x.sock")
    monkeypatch.setenv("AGENTS_SANDBOX_TIMEOUT", "soon")
    monkeypatch.setenv("AGENTS_SANDBOX_OPERATION_TIMEOUT", "later")
    result = run_pytest(
        """
        import asyncio

        def test_it(agents_sandbox_daemon, agents_sandbox_client, sync_agents_sandbox_client):
            asyncio.run(agents_sandbox_client.ping())
            sync_agents_sandbox_client.ping()
            assert "nowhere" not in agents_sandbox_daemon.socket_path
        """
    )
    result.assert_outcomes(passed=1)


def test_each_test_has_a_daemon_and_clients_of_its_own(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import asyncio
        import os
        import pytest
        from agents_sandbox import ClientClosedError
        seen = []

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(number, sync_agents_sandbox_client, agents_sandbox_client,
                    agents_sandbox_daemon):
            assert sync_agents_sandbox_client.list_sandboxes() == []
            sync_agents_sandbox_client.create_sandbox(image="a:1", sandbox_id="demo")
            seen.append((sync_agents_sandbox_client, agents_sandbox_client, agents_sandbox_daemon))

        def test_they_are_gone():
            for blocking, client, daemon in seen:
                with pytest.raises(ClientClosedError):
                    blocking.ping()
                with pytest.raises(ClientClosedError):
                    asyncio.run(client.ping())
                assert not os.path.exists(daemon.socket_path)
            assert seen[0][2] is not seen[1][2]
        """
    )
    result.assert_outcomes(passed=3)


def test_the_fixtures_are_documented(run_pytest: RunPytest) -> None:
    result = run_pytest("", "--fixtures", "-v")
    for name in (
        "agents_sandbox_daemon",
        r"agents_sandbox_daemon_factory \[session scope\]",
        "agents_sandbox_socket",
        "agents_sandbox_client",
        "sync_agents_sandbox_client",
    ):
        result.stdout.re_match_lines([rf"^{name} -- .*", r"^    \S+"])


def test_a_forgotten_stream_fails_the_test(
    run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stream never ends, however long the plugin waits.
    monkeypatch.setattr(_daemon, "LEAK_TIMEOUT", 0.1)
    result = run_pytest(
        FORGOTTEN
        + """
    def test_it(agents_sandbox_daemon):
        leave_a_stream_open(agents_sandbox_daemon.socket_path)
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["left behind:", "*event streams of sandbox *: 1", "*@pytest*(leaks=False)"]
    )
    result.stdout.no_fnmatch_line("*During handling*")


@pytest.mark.parametrize(
    ("mark", "ending", "outcome"),
    [
        ("leaks=False", "pass", {"passed": 1}),
        ("", "assert False, 'its own story'", {"failed": 1}),
        ("", "pytest.skip('no')", {"skipped": 1}),
    ],
)
def test_a_forgotten_stream_is_let_pass(
    run_pytest: RunPytest, mark: str, ending: str, outcome: dict[str, int]
) -> None:
    result = run_pytest(
        FORGOTTEN
        + f"""
    @pytest.mark.agents_sandbox({mark})
    def test_it(agents_sandbox_daemon):
        leave_a_stream_open(agents_sandbox_daemon.socket_path)
        {ending}
"""
    )
    result.assert_outcomes(**outcome)


def test_the_clients_of_the_plugin_end_their_own_streams(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        opened = []

        def test_it(agents_sandbox_daemon, sync_agents_sandbox_client):
            sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
            opened.append(sync_agents_sandbox_client.subscribe_sandbox_events(sandbox.sandbox_id))
            next(opened[0])
            agents_sandbox_daemon.wait_for_streams(1)
        """
    )
    result.assert_outcomes(passed=1)


@pytest.mark.unmeasured
@pytest.mark.once
def test_nothing_heavy_is_imported_without_a_fixture(
    run_pytest_apart: RunPytest,
) -> None:
    result = run_pytest_apart(
        """
        import sys
        import pytest

        @pytest.mark.agents_sandbox(version="0.2.0")
        def test_it():
            assert "pytest_agents_sandbox" in sys.modules
            heavy = {"agents_sandbox", "google.protobuf", "grpc"}
            assert not heavy & sys.modules.keys()
        """
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mark", "outcome"),
    [("", {"passed": 1, "errors": 1}), ("all_used=False", {"passed": 1})],
)
def test_a_plan_that_was_never_used_fails_the_test(
    run_pytest: RunPytest, mark: str, outcome: dict[str, int]
) -> None:
    result = run_pytest(
        f"""
        import pytest

        @pytest.mark.agents_sandbox({mark})
        def test_it(agents_sandbox_daemon):
            agents_sandbox_daemon.on_exec(("make",))
            agents_sandbox_daemon.faults.fail_next("Ping", code="INTERNAL")
        """
    )
    result.assert_outcomes(**outcome)
    if not mark:
        result.stdout.fnmatch_lines(
            [
                "planned, but never used:",
                "*fail_next*Ping*.py:6*",
                "*on_exec*make*.py:5*",
                "*@pytest*(all_used=False)",
            ]
        )
