"""Daemons that tests share: the factory, what happens between two tests, and the marker."""

from __future__ import annotations

import pytest

from agents_sandbox.testing import FakeDaemon
from pytest_agents_sandbox import _daemon

from .conftest import RunPytest

SHARED = """
    import asyncio
    import pytest

    @pytest.fixture(scope="{scope}")
    def agents_sandbox_daemon(request, agents_sandbox_daemon_factory):
        return agents_sandbox_daemon_factory(request, {keywords})
"""


def shared(scope: str = "module", keywords: str = "") -> str:
    return SHARED.format(scope=scope, keywords=keywords)


@pytest.mark.parametrize("scope", ["module", "session", "package", "class"])
def test_tests_share_one_daemon_that_forgets_each_of_them(
    run_pytest: RunPytest, scope: str
) -> None:
    result = run_pytest(
        shared(scope)
        + """
    sockets = []

    class TestClass:
        @pytest.mark.parametrize("number", [1, 2])
        def test_blocking(self, sync_agents_sandbox_client, agents_sandbox_daemon, number):
            sockets.append(agents_sandbox_daemon.socket_path)
            assert agents_sandbox_daemon.calls == ()
            agents_sandbox_daemon.on_exec(("make",)).exit(number)
            sync_agents_sandbox_client.create_sandbox(image="a:1", sandbox_id="box-1")
            assert sync_agents_sandbox_client.run("box-1", ("make",)).exit_code == number
            assert [item.exit_code for item in agents_sandbox_daemon.execs] == [number]

        # These do not name the daemon.
        @pytest.mark.parametrize("number", [1, 2])
        def test_async(self, agents_sandbox_client, agents_sandbox_socket, number):
            async def main():
                await agents_sandbox_client.create_sandbox(image="a:1", sandbox_id="box-1")
                result = await agents_sandbox_client.run("box-1", ("make",))
                assert result.exit_code == 0

            sockets.append(agents_sandbox_socket)
            asyncio.run(main())

        def test_it_was_one_daemon(self):
            assert len(sockets) == 4 and len(set(sockets)) == 1
"""
    )
    result.assert_outcomes(passed=5)


def test_in_the_scope_of_a_function_it_is_as_the_fixture(run_pytest: RunPytest) -> None:
    result = run_pytest(
        shared("function", "missing_images=['a:1']")
        + """
    @pytest.mark.agents_sandbox(missing_images=["b:1"])
    def test_marked(sync_agents_sandbox_client):
        sync_agents_sandbox_client.create_sandbox(image="a:1")

    def test_unused_plan(agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("make",))
"""
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["planned, but never used:"])


# Each leaves something behind, and the one after it must not see it.
def test_what_a_test_leaves_behind_is_its_own_error(
    run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_daemon, "LEAK_TIMEOUT", 0.1)
    result = run_pytest(
        shared(keywords="unscripted='fail'")
        + """
    from agents_sandbox import SyncAgentsSandboxClient
    opened = []

    def test_stream(agents_sandbox_daemon):
        client = SyncAgentsSandboxClient(agents_sandbox_daemon.socket_path)
        sandbox = client.create_sandbox(image="a:1")
        opened.append((client, client.subscribe_sandbox_events(sandbox.sandbox_id)))
        next(opened[0][1])

    def test_plan(agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("ls",))

    def test_command(sync_agents_sandbox_client):
        sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
        sync_agents_sandbox_client.run(sandbox.sandbox_id, ("make",))

    def test_handler(sync_agents_sandbox_client, agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("ls",)).call(lambda context: {}["mine"])
        sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
        sync_agents_sandbox_client.run(sandbox.sandbox_id, ("ls",))

    def test_fine(sync_agents_sandbox_client, agents_sandbox_daemon):
        assert sync_agents_sandbox_client.list_sandboxes() == []

    def test_fails(sync_agents_sandbox_client, agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("ls",))
        sync_agents_sandbox_client.get_sandbox("ghost")

    def test_allowed(agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("ls",))
    test_allowed = pytest.mark.agents_sandbox(all_used=False)(test_allowed)

    def teardown_module():
        for client, _ in opened:
            client.close()
"""
    )
    result.assert_outcomes(passed=6, failed=1, errors=4)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_stream*",
            "left behind:",
            "  CreateSandbox(*",
            "*ERROR at teardown of test_plan*",
            "planned, but never used:",
            "fake daemon 0.4.3: 0 calls, without pings",
            "*ERROR at teardown of test_command*",
            "unscripted commands: (*",
            "*ERROR at teardown of test_handler*",
            "E *KeyError: 'mine'",
            "*test_fails*",
            "  GetSandbox(sandbox_id='ghost')",
        ]
    )


def test_marks_of_the_scope_configure_it_and_others_may_only_say_what_is_for_a_test(
    run_pytest: RunPytest,
) -> None:
    result = run_pytest(
        shared(keywords="missing_images=['a:1'], version='0.2.1'")
        + """
    from agents_sandbox import DaemonError
    pytestmark = pytest.mark.agents_sandbox(version="0.3.0")

    def failing(daemon):
        daemon.faults.fail_next("Ping", code="INTERNAL", message="mine")

    def test_module(agents_sandbox_daemon):
        assert agents_sandbox_daemon.version == "0.3.0"

    @pytest.mark.agents_sandbox(missing_images=["b:1"], version="0.2.1")
    def test_options(agents_sandbox_daemon):
        assert False

    @pytest.mark.agents_sandbox(faults=failing)
    def test_faults(sync_agents_sandbox_client):
        with pytest.raises(DaemonError, match="mine"):
            sync_agents_sandbox_client.ping()

    def broken(daemon):
        failing(daemon)
        raise KeyError("broken")

    @pytest.mark.agents_sandbox(faults=broken)
    def test_broken(sync_agents_sandbox_client):
        assert False

    def test_later(sync_agents_sandbox_client):
        sync_agents_sandbox_client.ping()
"""
    )
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["E *KeyError: 'broken'"])
    assert (
        "::test_options: @pytest.mark.agents_sandbox sets missing_images, version, but the fixture "
        "agents_sandbox_daemon shares its daemon in the scope module: pass it to "
        "agents_sandbox_daemon_factory there, or set it for the whole scope\n"
    ) in result.stdout.str()


def test_a_daemon_of_another_name_and_both_at_once(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest
        from agents_sandbox import SyncAgentsSandboxClient

        @pytest.fixture(scope="module")
        def busy(request, agents_sandbox_daemon_factory):
            return agents_sandbox_daemon_factory(request, all_used=False)

        @pytest.fixture
        def busy_client(busy):
            with SyncAgentsSandboxClient(busy.socket_path) as client:
                yield client

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(busy_client, sync_agents_sandbox_client, agents_sandbox_daemon, busy, number):
            assert busy is not agents_sandbox_daemon
            assert busy_client.list_sandboxes() == []
            busy_client.create_sandbox(image="a:1", sandbox_id="box-1")
            assert sync_agents_sandbox_client.list_sandboxes() == []
            busy.on_exec(("ls",))

        @pytest.mark.parametrize("number", [1, 2])
        def test_by_request(request, number):
            busy = request.getfixturevalue("busy")
            assert busy.sandboxes == ()
            with SyncAgentsSandboxClient(busy.socket_path) as client:
                client.create_sandbox(image="a:1")
        """
    )
    result.assert_outcomes(passed=4)


def test_several_releases_one_after_the_other(run_pytest: RunPytest) -> None:
    result = run_pytest(
        shared()
        + """
    pytestmark = pytest.mark.agents_sandbox(versions=["0.2.1", "0.4.3"])
    daemons = []

    def test_one(sync_agents_sandbox_client, agents_sandbox_daemon):
        daemons.append(agents_sandbox_daemon)
        assert sync_agents_sandbox_client.ping().version == agents_sandbox_daemon.version

    def test_two(agents_sandbox_client, agents_sandbox_daemon):
        daemons.append(agents_sandbox_daemon)

    def test_which():
        assert [daemon.version for daemon in daemons] == ["0.2.1", "0.2.1", "0.4.3", "0.4.3"]
        assert len(set(map(id, daemons))) == 2
"""
    )
    result.assert_outcomes(passed=5)


def test_a_release_of_its_own_excludes_several(run_pytest: RunPytest) -> None:
    result = run_pytest(
        shared(keywords="version='0.2.1'")
        + """
    def test_it(agents_sandbox_daemon):
        pass
""",
        "--agents-sandbox-versions=0.2.1,0.4.3",
    )
    result.assert_outcomes(passed=1, errors=1)
    assert (
        "\nthe fixture agents_sandbox_daemon sets version='0.2.1', but versions= or "
        "--agents-sandbox-versions ask for several: remove one of them\n"
    ) in result.stdout.str()


def test_the_factory_takes_no_releases(run_pytest: RunPytest) -> None:
    result = run_pytest(
        shared(keywords="versions=['0.2.1', '0.4.3']")
        + """
    def test_it(agents_sandbox_daemon):
        pass
"""
    )
    result.assert_outcomes(errors=1)
    assert "\nthe fixture agents_sandbox_daemon sets versions=: set it with " in result.stdout.str()


def test_wrong_keywords_are_reported_without_a_traceback(run_pytest: RunPytest) -> None:
    result = run_pytest(
        shared(keywords="exec_node=1")
        + """
    def test_it(agents_sandbox_daemon):
        pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.agents_sandbox does not accept exec_node; *"])


def test_a_test_that_stops_it_is_told_so(run_pytest: RunPytest) -> None:
    result = run_pytest(
        shared()
        + """
    def test_it(agents_sandbox_daemon):
        agents_sandbox_daemon.stop()
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["E *RuntimeError: the fake daemon was stopped: *"])


def test_a_live_daemon_takes_no_part(run_pytest: RunPytest, daemon: FakeDaemon) -> None:
    result = run_pytest(
        shared()
        + """
    def test_client(sync_agents_sandbox_client):
        assert sync_agents_sandbox_client.ping().version == "0.2.1"

    def test_daemon(agents_sandbox_daemon):
        assert False
""",
        f"--agents-sandbox-socket={daemon.socket_path}",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * uses the fixture agents_sandbox_daemon, so it *"])
