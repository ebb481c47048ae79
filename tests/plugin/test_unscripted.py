"""Commands without a script: when they fail a test, and what it is told."""

from __future__ import annotations

import pytest

from .conftest import RunPytest

pytestmark = pytest.mark.once

# One command is mistyped; nothing in the tests themselves would fail.
MISTYPED = """
    import asyncio
    import pytest

    def test_blocking(sync_agents_sandbox_client, agents_sandbox_daemon):
        agents_sandbox_daemon.on_exec(("make", "test"))
        sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
        for target in ("test", "tset"):
            sync_agents_sandbox_client.run(sandbox.sandbox_id, ("make", target))

    def test_async(agents_sandbox_client, agents_sandbox_daemon):
        async def main():
            sandbox = await agents_sandbox_client.create_sandbox(image="a:1")
            for target in ("test", "tset"):
                await agents_sandbox_client.run(sandbox.sandbox_id, ("make", target))

        agents_sandbox_daemon.on_exec(("make", "test"))
        asyncio.run(main())
"""
COMPLAINT = [
    "unscripted commands: ('make', 'tset')",
    "  exec * in sandbox *: ('make', 'tset')",
    "    close: on_exec(('make', 'test')) at *.py:*: the argv differs",
    'Script it, or allow it with @pytest.mark.agents_sandbox(unscripted="succeed")',
]
MARK = 'pytestmark = pytest.mark.agents_sandbox(unscripted="{}")'
INI = ("-o", "agents_sandbox_unscripted=fail")
OPTION = "--agents-sandbox-unscripted={}"


@pytest.mark.parametrize(
    ("mark", "arguments", "fails"),
    [
        ("", (), False),
        (MARK.format("fail"), (), True),
        ("", INI, True),
        ("", (OPTION.format("fail"),), True),
        ("", (*INI, OPTION.format("succeed")), False),
        (MARK.format("succeed"), (OPTION.format("fail"),), False),
    ],
)
def test_they_fail_the_test_where_that_is_asked_for(
    run_pytest: RunPytest,
    monkeypatch: pytest.MonkeyPatch,
    mark: str,
    arguments: tuple[str, ...],
    fails: bool,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # for the summary
    monkeypatch.delenv("CI", raising=False)  # there, pytest's summary repeats the whole messages
    # What older gRPC logs about its poller contains tracebacks.
    result = run_pytest(f"{MISTYPED}\n    {mark}\n", *arguments, "--show-capture=no")
    result.assert_outcomes(passed=2, errors=2 * fails)
    if fails:
        result.stdout.fnmatch_lines(COMPLAINT * 2)
        result.stdout.no_re_match_line(r"^E |Traceback")
        # For each test once, and in the summary.
        result.stdout.fnmatch_lines(["ERROR *unscripted commands: ('make', 'tset')"] * 2)
        assert result.stdout.str().count("\n    close: on_exec") == 2


def test_commands_that_really_run_need_no_script(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        @pytest.mark.agents_sandbox(exec_mode="passthrough")
        def test_it(sync_agents_sandbox_client):
            sandbox = sync_agents_sandbox_client.create_sandbox(image="a:1")
            assert sync_agents_sandbox_client.run(sandbox.sandbox_id, ("true",)).exit_code == 0
        """,
        *INI,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "arguments", [("-o", "agents_sandbox_unscripted=never"), (OPTION.format("never"),)]
)
def test_a_wrong_setting_is_refused_before_any_test(
    run_pytest: RunPytest, arguments: tuple[str, ...]
) -> None:
    result = run_pytest("def test_it(): pass", *arguments)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: *option agents_sandbox_unscripted must be succeed or fail, not 'never'"]
    )
