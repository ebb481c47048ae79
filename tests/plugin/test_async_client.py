"""The async client is closed on its own event loop, whichever plugin runs the test."""

from __future__ import annotations

import pytest

from .conftest import RunPytest

WIDE_FIXTURES = ("-o", "asyncio_default_fixture_loop_scope=session")
WIDE_TESTS = ("-o", "asyncio_default_test_loop_scope=session")
ASYNCIO = {
    "auto": ("--asyncio-mode=auto",),
    "strict": ("--asyncio-mode=strict",),
    "wide tests": ("--asyncio-mode=auto", *WIDE_TESTS),
    "all wide": ("--asyncio-mode=auto", *WIDE_FIXTURES, *WIDE_TESTS),
}
WITHOUT_ASYNCIO = (
    *("-p", "no:asyncio", "-p", "no:anyio"),
    # About options that no plugin knows then.
    *("-W", "ignore::pytest.PytestConfigWarning"),
)

# A stream that is never closed and that not only the test's frame refers to.
HOLD_A_STREAM = """
    import asyncio
    import pytest
    opened = []

    async def hold_a_stream(client):
        sandbox = await client.create_sandbox(image="a:1")
        opened.append(client.subscribe_sandbox_events(sandbox.sandbox_id))
        await anext(opened[-1])
"""


@pytest.mark.parametrize("arguments", ASYNCIO.values(), ids=ASYNCIO.keys())
def test_its_loop_is_still_there(run_pytest: RunPytest, arguments: tuple[str, ...]) -> None:
    # There is no complaint about streams: the client ended them on the loop that opened them.
    result = run_pytest(
        HOLD_A_STREAM
        + """
    @pytest.mark.asyncio
    @pytest.mark.parametrize("number", [1, 2])
    async def test_it(agents_sandbox_client, agents_sandbox_daemon, number):
        await hold_a_stream(agents_sandbox_client)
        # That of the create may need a moment to end.
        await asyncio.to_thread(agents_sandbox_daemon.wait_for_streams, 1)

    @pytest.mark.asyncio
    async def test_it_fails(agents_sandbox_client):
        await hold_a_stream(agents_sandbox_client)
        assert False, "its own story"

    def test_unused(agents_sandbox_client):
        pass
""",
        *arguments,
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E *its own story*"])


# Fixtures and tests of different loops cannot share a client.
@pytest.mark.parametrize("name", ["auto", "strict", "all wide"])
def test_async_fixtures_may_use_it_to_the_end(run_pytest: RunPytest, name: str) -> None:
    result = run_pytest(
        """
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def sandbox(agents_sandbox_client):
            sandbox = await agents_sandbox_client.create_sandbox(image="a:1")
            yield sandbox
            await agents_sandbox_client.delete_sandbox(sandbox.sandbox_id)

        @pytest.mark.asyncio
        async def test_it(agents_sandbox_client, sandbox):
            await agents_sandbox_client.get_sandbox(sandbox.sandbox_id)

        def test_plain(sandbox, sync_agents_sandbox_client):
            sync_agents_sandbox_client.get_sandbox(sandbox.sandbox_id)
        """,
        *ASYNCIO[name],
    )
    result.assert_outcomes(passed=2)


def test_its_loop_may_be_gone(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        async def test_it(agents_sandbox_client):
            await agents_sandbox_client.create_sandbox(image="a:1")
        """,
        "--asyncio-mode=auto",
        *WIDE_FIXTURES,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.unmeasured
@pytest.mark.once
def test_without_an_async_plugin(run_pytest_apart: RunPytest) -> None:
    result = run_pytest_apart(
        HOLD_A_STREAM
        + """
    async def read(client):
        sandbox = await client.create_sandbox(image="a:1")
        return await anext(client.subscribe_sandbox_events(sandbox.sandbox_id))

    # A marker of that name may be anybody's.
    @pytest.mark.asyncio
    def test_it(agents_sandbox_client):
        for _ in range(2):
            assert asyncio.run(read(agents_sandbox_client)).sequence == 1

    def test_it_fails(agents_sandbox_client):
        asyncio.run(hold_a_stream(agents_sandbox_client))
        assert False, "its own story"
""",
        *WITHOUT_ASYNCIO,
        *("-o", "markers=asyncio"),
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *its own story*"])


def test_its_loop_may_run_in_another_thread(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import asyncio
        import threading
        import pytest

        @pytest.fixture
        def loop():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            yield loop
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        def test_it(loop, agents_sandbox_client):
            ping = agents_sandbox_client.ping()
            asyncio.run_coroutine_threadsafe(ping, loop).result(timeout=10)
        """,
        *WITHOUT_ASYNCIO,
    )
    result.assert_outcomes(passed=1)


def test_the_current_loop_stays(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import asyncio
        import pytest

        @pytest.fixture(scope="module", autouse=True)
        def loop():
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            yield loop
            asyncio.set_event_loop(None)
            loop.close()

        @pytest.mark.parametrize("use", [False, True, True])
        def test_it(loop, agents_sandbox_client, use):
            assert asyncio.get_event_loop() is loop
            if use:
                loop.run_until_complete(agents_sandbox_client.ping())
        """,
        *WITHOUT_ASYNCIO,
    )
    result.assert_outcomes(passed=3)
