"""The marker: what it sets, which one applies, and how mistakes are reported."""

from __future__ import annotations

import pytest

from agents_sandbox.testing._commands import modes

from .conftest import RunPytest


def test_keywords_are_passed_to_the_daemon_and_the_closest_applies(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest
        from pathlib import Path
        from agents_sandbox import SandboxFailedError
        pytestmark = pytest.mark.agents_sandbox(exec_mode="passthrough", missing_images=["a:1"])

        def says(client):
            sandbox = client.create_sandbox(image="b:1")
            result = client.run(sandbox.sandbox_id, ("echo", "really"))
            return Path(result.stdout_log_path).read_text()

        def has_image(client):
            try:
                client.create_sandbox(image="a:1")
            except SandboxFailedError:
                return False
            return True

        def test_module(agents_sandbox_daemon, sync_agents_sandbox_client):
            assert says(sync_agents_sandbox_client) == "really\\n"
            assert not has_image(sync_agents_sandbox_client)

        @pytest.mark.agents_sandbox(exec_mode="scripted")
        class TestClass:
            def test_class(self, agents_sandbox_daemon, sync_agents_sandbox_client):
                assert says(sync_agents_sandbox_client) == ""
                assert not has_image(sync_agents_sandbox_client)

            @pytest.mark.agents_sandbox(missing_images=[])
            def test_function(self, agents_sandbox_daemon, sync_agents_sandbox_client):
                assert says(sync_agents_sandbox_client) == ""
                assert has_image(sync_agents_sandbox_client)
        """
    )
    result.assert_outcomes(passed=3)


def test_faults_are_given_the_running_daemon(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest
        from agents_sandbox import DaemonError

        def no_list(daemon):
            daemon.faults.fail_next("ListSandboxes", code="INTERNAL", message="second")

        @pytest.mark.agents_sandbox(
            faults=lambda daemon: daemon.faults.fail_next("Ping", code="INTERNAL", message="first"))
        class TestFaults:
            def test_one(self, sync_agents_sandbox_client):
                with pytest.raises(DaemonError, match="first"):
                    sync_agents_sandbox_client.ping()

            @pytest.mark.agents_sandbox(
                faults=[
                    lambda daemon: daemon.faults.fail_next("Ping", code="INTERNAL", message="own"),
                    no_list,
                ]
            )
            def test_several(self, sync_agents_sandbox_client):
                with pytest.raises(DaemonError, match="own"):
                    sync_agents_sandbox_client.ping()
                with pytest.raises(DaemonError, match="second"):
                    sync_agents_sandbox_client.list_sandboxes()

            @pytest.mark.agents_sandbox(faults=())
            def test_none(self, sync_agents_sandbox_client):
                sync_agents_sandbox_client.ping()
        """
    )
    result.assert_outcomes(passed=3)


def test_an_error_in_a_fault_function_is_the_tests_error(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        @pytest.mark.agents_sandbox(
            faults=lambda daemon: daemon.faults.fail_next("Pong", code="INTERNAL")
        )
        def test_it(agents_sandbox_daemon):
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E *Pong*"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("'0.2.0'", "accepts only keyword arguments, not '0.2.0'"),
        (
            "version='0.2.0', exec_node=1",
            "does not accept exec_node; it accepts *version*exec_mode*",
        ),
        ("version='9.9'", "*9.9*"),
        ("missing_images='a:1'", "*missing_images must be a collection*'a:1'"),
        ("faults='Ping'", "faults= must be a function or a list of functions: 'Ping'"),
        ("faults=[1]", "faults= must be a function or a list of functions: [[]1[]]"),
        ("leaks=0", "leaks= must be True or False: 0"),
        ("leaks='x' * 9000", "leaks= must be True or False: 'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
        ("all_used=None", "all_used= must be True or False: None"),
    ],
)
def test_a_wrong_mark_is_reported_without_a_traceback(
    run_pytest: RunPytest, arguments: str, complaint: str
) -> None:
    result = run_pytest(
        f"""
        import pytest

        @pytest.mark.agents_sandbox({arguments})
        def test_it(agents_sandbox_client):
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*.py::test_it: @pytest.mark.agents_sandbox {complaint}"])
    result.stdout.no_re_match_line(r"^E |Traceback|\S+\.py:\d+:")


def test_a_block_that_a_fault_function_returns_lasts_for_the_test(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest
        from agents_sandbox import DaemonError

        @pytest.mark.agents_sandbox(faults=[
            lambda daemon: daemon.faults.failing("INTERNAL", method="ListSandboxes"),
            lambda daemon: daemon,
        ])
        def test_block(sync_agents_sandbox_client):
            with pytest.raises(DaemonError, match="injected failure"):
                sync_agents_sandbox_client.list_sandboxes()
        """
    )
    result.assert_outcomes(passed=1)


def test_a_block_that_a_fault_function_drops_is_an_error(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        def no_list(daemon):
            daemon.faults.failing("INTERNAL", method="ListSandboxes")

        @pytest.mark.agents_sandbox(faults=no_list)
        def test_dropped(sync_agents_sandbox_client):
            assert sync_agents_sandbox_client.list_sandboxes() == []
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*RuntimeError: a block that is never entered*", "*.py:4*"])


def test_the_marker_is_documented(run_pytest: RunPytest) -> None:
    result = run_pytest("", "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.agents_sandbox(*faults=*leaks=False*"])


def test_the_command_line_gives_the_version_where_no_mark_does(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        def test_without(agents_sandbox_daemon):
            pass

        @pytest.mark.agents_sandbox(version="0.2.1")
        def test_with(agents_sandbox_daemon):
            assert agents_sandbox_daemon.version == "0.2.1"
        """,
        "--agents-sandbox-version=9.9",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "agents-sandbox: fake daemon 9.9",
            "*::test_without: *--agents-sandbox-version(s) or * is wrong: *9.9*",
        ]
    )
    result.stdout.no_fnmatch_line("*During handling*")


@pytest.mark.parametrize(
    "function",
    [
        "def fault(daemon):\n    with daemon.faults.failing() as made:\n        return made",
        "def fault(daemon):\n    with daemon.faults.failing():\n        yield",
        "async def fault(daemon):\n    daemon.faults.fail_next('Ping')",
        "def fault(daemon):\n    return [daemon.faults.failing(), daemon.paused()]",
    ],
    ids=["ended", "generator", "coroutine", "list"],
)
def test_a_fault_that_would_do_nothing_is_an_error(run_pytest: RunPytest, function: str) -> None:
    body = function.replace("\n", "\n        ")
    result = run_pytest(
        f"""
        import pytest

        {body}

        @pytest.mark.agents_sandbox(faults=fault)
        def test_it(sync_agents_sandbox_client):
            pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a function in faults= of *one block that lasts for the test*"])


def test_a_mode_that_is_wrong_or_impossible_is_reported_by_itself(
    run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "obstacle_to_isolation", lambda: "no namespaces")
    result = run_pytest(
        """
        import pytest

        @pytest.mark.agents_sandbox(exec_mode="isolate")
        def test_wrong(agents_sandbox_daemon):
            pass

        @pytest.mark.agents_sandbox(exec_mode="isolated")
        def test_impossible(agents_sandbox_daemon):
            pass
        """
    )
    result.assert_outcomes(errors=2)
    marker = "*@pytest.mark.agents_sandbox"
    result.stdout.fnmatch_lines(
        [
            f"{marker} is wrong: exec_mode must be *",
            f"{marker} cannot be satisfied: exec_mode='isolated': no namespaces",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
