"""What the report of a failed test shows of its daemon."""

from __future__ import annotations

import pytest

from .conftest import RunPytest

pytestmark = pytest.mark.once

CREATE_AND_RUN = """
    import asyncio
    import pytest

    def work(client):
        client.create_sandbox(image="a:1", sandbox_id="box-1", envs={"TOKEN": "secret"})
        client.run("box-1", ("make", "tset"))
        client.attach("box-1").files.write_text("x", "")

    async def work_async(client):
        await client.create_sandbox(image="a:1", sandbox_id="box-1", envs={"TOKEN": "secret"})
        await client.run("box-1", ("make", "tset"))
"""
SECTION = [
    "*-- agents-sandbox --*",
    "fake daemon 0.4.3: * calls, without pings",
    "  CreateSandbox(create_spec=CreateSpec(image='a:1', envs={'TOKEN': ...}), *'box-1')",
    "  CreateExec(sandbox_id='box-1', command=[[]'make', 'tset'], exec_id=*)",
    "  exec *: ('make', 'tset'): FINISHED, exit code 0",
    "unscripted commands: ('make', 'tset')",
    "  exec * in sandbox box-1: ('make', 'tset')",
    "    close: on_exec(('make', 'test')) at *: the argv differs",
]


def test_a_failure_shows_the_last_calls_and_unscripted_commands(run_pytest: RunPytest) -> None:
    result = run_pytest(
        CREATE_AND_RUN
        + """
    def test_blocking(sync_agents_sandbox_client, agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("make", "test"))
        work(sync_agents_sandbox_client)
        assert False

    def test_async(agents_sandbox_client, agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("make", "test"))
        asyncio.run(work_async(agents_sandbox_client))
        assert False
"""
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(SECTION * 2)
    result.stdout.no_fnmatch_line("  Ping(*")
    result.stdout.no_fnmatch_line("  exec *agents-sandbox-files*")


def test_the_last_calls_of_many(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        def test_it(sync_agents_sandbox_client):
            for _ in range(25):
                sync_agents_sandbox_client.list_sandboxes()
            assert False
        """
    )
    result.stdout.fnmatch_lines(["fake daemon 0.4.3: last 20 of 25 calls, without pings"])
    assert result.stdout.str().count("  ListSandboxes(") == 20
    result.stdout.no_fnmatch_line("unscripted commands:*")


@pytest.mark.parametrize(
    "code",
    [
        """
        import pytest

        @pytest.fixture
        def sandbox(sync_agents_sandbox_client):
            sync_agents_sandbox_client.list_sandboxes()
            assert False

        def test_it(sandbox):
            pass
        """,
        """
        def test_it(sync_agents_sandbox_client, agents_sandbox_daemon):
            agents_sandbox_daemon.on_exec(("make",))
            sync_agents_sandbox_client.list_sandboxes()
        """,
    ],
    ids=["setup", "teardown"],
)
def test_an_error_before_or_after_the_test_shows_them_too(run_pytest: RunPytest, code: str) -> None:
    result = run_pytest(code)
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["fake daemon 0.4.3: 1 calls, without pings", "  ListSandboxes()"])


def test_what_passes_or_is_skipped_shows_nothing(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        def test_passed(sync_agents_sandbox_client):
            sync_agents_sandbox_client.list_sandboxes()

        def test_skipped(sync_agents_sandbox_client):
            pytest.skip("no")

        @pytest.mark.xfail
        def test_xfailed(sync_agents_sandbox_client):
            assert False

        def test_without_a_daemon():
            assert False
        """
    )
    result.assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1)
    result.stdout.no_fnmatch_line("*calls, without pings*")


def test_a_failure_shows_how_execs_ended(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        def test_it(sync_agents_sandbox_client, agents_sandbox_daemon):
            agents_sandbox_daemon.on_exec(("make",)).stderr("no rule\\n").exit(2)
            agents_sandbox_daemon.on_exec(("lost",)).fail("no such folder")
            sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
            for command in ("make", "lost"):
                sync_agents_sandbox_client.run(sandbox.sandbox_id, (command,))
            assert False
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "  exec *: ('make',): FAILED, exit code 2",
            "    stderr: no rule",
            "  exec *: ('lost',): FAILED, no such folder",
        ]
    )
