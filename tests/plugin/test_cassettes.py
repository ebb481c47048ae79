"""Cassettes of tests: where they are, and when they are recorded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents_sandbox.testing import FakeDaemon

from .conftest import RunPytest

pytestmark = pytest.mark.once

TESTS = """
    import pytest

    @pytest.mark.agents_sandbox(cassette=True, redact=["hunter2"])
    def test_blocking(sync_agents_sandbox_client):
        with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
            assert sandbox.run(["echo", "hunter2"]).stdout == "hi\\n"

    @pytest.mark.agents_sandbox(cassette="other/x.json")
    @pytest.mark.asyncio
    @pytest.mark.parametrize("number", [1])
    async def test_async(agents_sandbox_client, number):
        async with agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
            assert (await sandbox.run(["echo", "hi"])).stdout == "hi\\n"

    class TestIn:
        @pytest.mark.agents_sandbox(cassette=True)
        @pytest.mark.parametrize("word", ["a/b"])
        def test_class(self, sync_agents_sandbox_client, word):
            sync_agents_sandbox_client.create_sandbox(image="python:3.13")

    def test_without(sync_agents_sandbox_client):
        sync_agents_sandbox_client.create_sandbox(image="python:3.13")
    """
NAMES = (
    "cassettes/*/test_blocking.json",
    "other/x.json",
    "cassettes/*/TestIn.test_class[[]a_b]-????????.json",
)


SHARED = """
    import pytest

    @pytest.fixture(scope="SCOPE")
    def agents_sandbox_daemon(request, agents_sandbox_daemon_factory):
        return agents_sandbox_daemon_factory(
            request, cassette="other/x.json", redact=["hunter2"]
        )

    def test_it(sync_agents_sandbox_client):
        with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
            assert sandbox.run(["echo", "hunter2"]).stdout == "hi\\n"
    """


def found(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@pytest.fixture(autouse=True)
def not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def live() -> Iterator[FakeDaemon]:
    """Stands for a live daemon."""
    with FakeDaemon() as daemon:
        daemon.on_exec(prefix=["echo"]).stdout("hi\n")
        yield daemon


def test_tests_are_recorded_once_and_replayed(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    record = f"--agents-sandbox-record={live.socket_path}"
    result = run_pytest(TESTS, record)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"*; records {live.socket_path}, once"])
    first, *_ = (found(pytester.path, name) for name in NAMES)
    assert "hunter2" not in first.read_text()
    assert first.parent.name == "test_tests_are_recorded_once_and_replayed"
    calls = len(live.calls)
    for arguments in (
        (),
        (record,),
        (record, "--agents-sandbox-record-mode=none"),
    ):
        run_pytest(TESTS, *arguments).assert_outcomes(passed=4)
    assert len(live.calls) == calls
    first.unlink()
    run_pytest(TESTS, record).assert_outcomes(passed=4)
    assert first.exists()


def test_a_test_can_ask_for_the_order(run_pytest: RunPytest, live: FakeDaemon) -> None:
    def code(*words: str) -> str:
        return f"""
            import pytest

            @pytest.mark.agents_sandbox(cassette=True, in_order=True)
            def test_it(sync_agents_sandbox_client):
                with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                    for word in {words}:
                        sandbox.run(["echo", word])
            """

    record = f"--agents-sandbox-record={live.socket_path}"
    for arguments in ((record,), ()):
        run_pytest(code("a", "b"), *arguments).assert_outcomes(passed=1)
    result = run_pytest(code("b", "a"))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*exec-2 of sandbox-1 in *, but exec-1 comes before it: *'a')"])


def test_a_mode_can_record_again(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    record = f"--agents-sandbox-record={live.socket_path}"
    for mode, words in (("rewrite", 1), ("new_episodes", 2), ("rewrite", 1)):
        code = f"""
            import pytest

            @pytest.mark.agents_sandbox(cassette=True)
            def test_it(sync_agents_sandbox_client):
                with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                    for number in range({words}):
                        sandbox.run(["echo", str(number)])
            """
        result = run_pytest(code, record, f"--agents-sandbox-record-mode={mode}")
        result.assert_outcomes(passed=1)
        text = found(pytester.path, "cassettes/*/test_it.json").read_text()
        assert text.count('"argv"') == words


def test_ci_records_nothing_and_a_missing_cassette_fails(
    run_pytest: RunPytest, live: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_pytest(TESTS)
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(["*has no cassette at *: pass --agents-sandbox-record*"])
    monkeypatch.setenv("CI", "true")
    result = run_pytest(TESTS, f"--agents-sandbox-record={live.socket_path}")
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(
        ["*; nothing is recorded in CI", "*no cassette at *: CI is set, so nothing is recorded*"]
    )
    assert not live.calls


def test_a_failed_test_writes_nothing_and_a_changed_one_is_explained(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    code = """
        import pytest

        @pytest.mark.agents_sandbox(cassette=True)
        def test_it(sync_agents_sandbox_client):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                assert sandbox.run(["echo", "one"]).stdout == "hi\\n"
                sandbox.run(["echo", "two"])
        """
    record = f"--agents-sandbox-record={live.socket_path}"
    run_pytest(code.replace('"hi', '"ho'), record).assert_outcomes(failed=1)
    assert not (pytester.path / "cassettes").exists()
    run_pytest(code, record).assert_outcomes(passed=1)
    run_pytest(code).assert_outcomes(passed=1)
    result = run_pytest(code.replace("two", "three"))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "unscripted commands: ('echo', 'three')",
            "*close: exec-2 of sandbox-1 in *test_it.json':",
            '*- "two"',
            '*+ "three"',
            "Record the cassette again with mode rewrite, or allow it with an on_exec() of its own",
            "  exec *: ('echo', 'three'): FAILED, the cassette has no such take; *: ...",
        ]
    )
    assert result.stdout.str().count('- "two"') == 1
    result = run_pytest(code.replace('                sandbox.run(["echo", "two"])', ""))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*exec-2 of sandbox-1, never played: ('echo', 'two')*",
            "Record the cassette again with mode rewrite, and remove unused scripts, or allow *",
        ]
    )


def test_a_fixture_that_fails_afterwards_does_not_prevent_a_cassette(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    code = """
        import pytest

        @pytest.fixture
        def around():
            yield
            assert False

        @pytest.fixture
        def within(sync_agents_sandbox_client):
            yield
            assert False

        @pytest.mark.agents_sandbox(cassette=True)
        @pytest.mark.parametrize("fixture", ["around", "within"])
        def test_it(request, fixture):
            request.getfixturevalue(fixture)
            client = request.getfixturevalue("sync_agents_sandbox_client")
            with client.sandbox(image="python:3.13") as sandbox:
                sandbox.run(["echo", "hi"])
        """
    result = run_pytest(code, f"--agents-sandbox-record={live.socket_path}")
    result.assert_outcomes(passed=2, errors=2)
    assert len(list(pytester.path.glob("cassettes/*/*.json"))) == 2


def test_tests_with_equal_names_have_files_of_their_own(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    code = """
        import pytest

        @pytest.mark.agents_sandbox(cassette=True)
        @pytest.mark.parametrize("word", ["a/b", "a:b", "a::b", "a.b", "x" * 200, "x" * 201])
        def test_it(sync_agents_sandbox_client, word):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                sandbox.run(["echo", __name__, word])
        """
    pytester.makepyfile(test_a=code, test_b=code)
    record = f"--agents-sandbox-record={live.socket_path}"
    for arguments in ((record,), ()):
        run_pytest("", *arguments, "test_a.py", "test_b.py").assert_outcomes(passed=12)
    assert len(list(pytester.path.glob("cassettes/*/*.json"))) == 12
    assert (pytester.path / "cassettes/test_b/test_it[a.b].json").exists()


def test_two_tests_cannot_record_one_file(run_pytest: RunPytest, live: FakeDaemon) -> None:
    code = """
        import pytest

        @pytest.mark.agents_sandbox(cassette="x.json")
        @pytest.mark.parametrize("word", ["one", "two"])
        def test_it(sync_agents_sandbox_client, word):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                sandbox.run(["echo", word])
        """
    record = f"--agents-sandbox-record={live.socket_path}"
    result = run_pytest(code, record, "--agents-sandbox-record-mode=rewrite")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*cannot be recorded: *x.json is the cassette of *one*, too"])


def test_two_tests_cannot_record_one_file_by_two_paths(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    code = """
        import pytest

        @pytest.mark.parametrize("path", [
            pytest.param(path, marks=pytest.mark.agents_sandbox(cassette=path))
            for path in ("real/x.json", "none/../real/x.json", "link/x.json")
        ])
        def test_it(sync_agents_sandbox_client, path):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                sandbox.run(["echo", path])
        """
    (pytester.path / "real").mkdir()
    (pytester.path / "link").symlink_to("real")
    record = f"--agents-sandbox-record={live.socket_path}"
    result = run_pytest(code, record, "--agents-sandbox-record-mode=rewrite")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [f"*recorded: {pytester.path}/real/x.json is the cassette of *"] * 2
    )


@pytest.mark.parametrize("mode", ["once", "new_episodes", "rewrite"])
def test_a_test_has_one_cassette_for_all_releases(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester, mode: str
) -> None:
    code = """
        import pytest

        @pytest.mark.agents_sandbox(cassette=True)
        def test_one(sync_agents_sandbox_client):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                assert sandbox.run(["echo", "hi"]).stdout == "hi\\n"

        @pytest.mark.agents_sandbox(cassette=True)
        @pytest.mark.parametrize("one", ["0.4", "x-0.4.3"])
        @pytest.mark.parametrize("other", [2])
        def test_many(sync_agents_sandbox_client, one, other):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                assert sandbox.run(["echo", "hi"]).stdout == "hi\\n"
        """
    versions = "--agents-sandbox-versions=0.4.2,0.4.3"
    record = f"--agents-sandbox-record={live.socket_path}"
    arguments = (record, f"--agents-sandbox-record-mode={mode}")
    names = {"test_one.json", "test_many[2-0.4].json", "test_many[2-x-0.4.3].json"}
    for first, second, count in ((arguments, (versions,), 3), ((*arguments, versions), (), 6)):
        run_pytest(code, *first).assert_outcomes(passed=count)
        assert {path.name for path in pytester.path.glob("cassettes/*/*")} == names
        run_pytest(code, *second).assert_outcomes(passed=9 - count)
        for path in pytester.path.glob("cassettes/*/*"):
            assert path.read_text().count('"argv"') == 1
            path.unlink()


def test_a_test_is_the_same_while_it_is_recorded(run_pytest: RunPytest, live: FakeDaemon) -> None:
    code = """
        import pytest

        def script(daemon):
            daemon.on_exec(["echo", "scripted"]).stdout("hi\\n")

        @pytest.mark.agents_sandbox(cassette=True, faults=script)
        def test_scripted(agents_sandbox_daemon, sync_agents_sandbox_client):
            agents_sandbox_daemon.on_exec(["echo", "mine"]).stdout("hi\\n")
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                for word in ("scripted", "mine", "recorded"):
                    assert sandbox.run(["echo", word]).stdout == "hi\\n"

        @pytest.mark.agents_sandbox(cassette=True)
        def test_skipped(sync_agents_sandbox_client):
            pytest.skip("not here")
        """
    record = f"--agents-sandbox-record={live.socket_path}"
    for arguments in ((record, "--agents-sandbox-unscripted=fail"), ()):
        run_pytest(code, *arguments).assert_outcomes(passed=1, skipped=1)


def test_a_client_of_the_wrong_socket_is_told(run_pytest: RunPytest, live: FakeDaemon) -> None:
    code = """
        import pytest
        from agents_sandbox import SyncAgentsSandboxClient

        @pytest.mark.agents_sandbox(cassette=True)
        def test_it(agents_sandbox_daemon, agents_sandbox_socket):
            with SyncAgentsSandboxClient(agents_sandbox_daemon.socket_path) as client:
                client.create_sandbox(image="python:3.13")
        """
    record = f"--agents-sandbox-record={live.socket_path}"
    result = run_pytest(code, record, "--agents-sandbox-unscripted=fail")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*connect to the path of the fixture agents_sandbox_socket*"])


def test_a_missing_cassette_is_told_even_if_the_test_expects_an_error(
    run_pytest: RunPytest,
) -> None:
    code = """
        import pytest
        from agents_sandbox import SandboxClientError

        @pytest.mark.agents_sandbox(cassette=True)
        def test_it(sync_agents_sandbox_client):
            with pytest.raises(SandboxClientError):
                sync_agents_sandbox_client.create_sandbox(image="python:3.13")
        """
    result = run_pytest(code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*has no cassette at *: pass --agents-sandbox-record"])


def test_a_broken_cassette_is_told_without_a_traceback(
    run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    code = """
        import pytest

        @pytest.mark.agents_sandbox(cassette="x.json")
        def test_it(agents_sandbox_daemon):
            pass
        """
    path = pytester.path / "x.json"
    for kind in ("empty", "socket"):
        path.unlink(missing_ok=True)
        if kind == "empty":
            path.touch()
        else:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(
                    path.name
                )  # pytest's folder, whose path may be too long, is the current one
        result = run_pytest(code)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*::test_it: @pytest.mark.agents_sandbox * *x.json*"])
        assert "Traceback" not in result.stdout.str()
        assert "_daemon.py" not in result.stdout.str()


def test_what_was_recorded_also_runs_on_a_live_daemon(
    run_pytest: RunPytest, live: FakeDaemon
) -> None:
    result = run_pytest(TESTS, f"--agents-sandbox-socket={live.socket_path}")
    result.assert_outcomes(passed=4)


def test_daemons_that_tests_share_replay_a_file_for_each_test(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    code = """
        import pytest

        @pytest.fixture(scope="module")
        def agents_sandbox_daemon(request, agents_sandbox_daemon_factory):
            return agents_sandbox_daemon_factory(request, cassette=VALUE)

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(sync_agents_sandbox_client, number):
            with sync_agents_sandbox_client.sandbox(image="python:3.13") as sandbox:
                assert sandbox.run(["echo", "hi"]).stdout == "hi\\n"
        """
    run_pytest(TESTS, f"--agents-sandbox-record={live.socket_path}", "-k", "async")
    run_pytest(code.replace("VALUE", '"other/x.json"')).assert_outcomes(passed=2)
    for value, message in (
        ("True", "*cassette=True requires a daemon for each test*"),
        ('"none.json"', "*has no cassette at *none.json: a daemon that tests share cannot record*"),
    ):
        result = run_pytest(code.replace("VALUE", value))
        result.assert_outcomes(errors=2)
        result.stdout.fnmatch_lines([message])


@pytest.mark.parametrize("scope", ["module", "package", "session"])
def test_the_cassette_of_a_shared_daemon_is_not_recorded(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester, scope: str
) -> None:
    code = SHARED.replace("SCOPE", scope)
    record = f"--agents-sandbox-record={live.socket_path}"
    rewrite = "--agents-sandbox-record-mode=rewrite"
    result = run_pytest(code, record)
    result.assert_outcomes(errors=1)
    message = (
        f"* cannot record {pytester.path}/other/x.json: a daemon that tests share cannot record "
        "it, because each test replays it from the beginning. Record it with a test that has "
        "its own daemon and @pytest.mark.agents_sandbox(cassette=...), or with "
        "agents_sandbox.testing.Recorder"
    )
    result.stdout.fnmatch_lines([message])
    # What is scoped to a test is recorded.
    own = SHARED.replace("SCOPE", "function")
    run_pytest(own, record).assert_outcomes(passed=1)
    assert "[redacted-1]" in (pytester.path / "other/x.json").read_text()
    for test in (own, code):
        run_pytest(test, record).assert_outcomes(passed=1)
        run_pytest(test).assert_outcomes(passed=1)
    result = run_pytest(code, record, rewrite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--agents-sandbox-record-mode=all",), "*must be one of none, once, *, not 'all'"),
        (
            ("--agents-sandbox-record=/x", "--agents-sandbox-socket=/y"),
            "*pass only one of --agents-sandbox-record and --agents-sandbox-socket",
        ),
        (
            ("--agents-sandbox-record-mode=rewrite",),
            "*--agents-sandbox-record-mode=rewrite requires --agents-sandbox-record",
        ),
        (("--agents-sandbox-record=",), "*--agents-sandbox-record: *"),
    ],
)
def test_options_that_are_wrong_are_refused(
    run_pytest: RunPytest, arguments: tuple[str, ...], message: str
) -> None:
    result = run_pytest("", *arguments)
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("cassette=1", "*cassette= must be True or a path: 1"),
        ("cassette=''", "*cassette= must be True or a path: ''"),
        ("cassette=False, redact='x'", "*redact= must be a list of strings: 'x'"),
        ("cassette=True, exec_mode='auto'", "*cassette= requires exec_mode='scripted': on replay*"),
    ],
)
def test_markers_that_are_wrong_are_refused(
    run_pytest: RunPytest, live: FakeDaemon, keywords: str, message: str
) -> None:
    code = f"""
        import pytest

        @pytest.mark.agents_sandbox({keywords})
        def test_it(agents_sandbox_daemon):
            pass
        """
    for arguments in ((), (f"--agents-sandbox-record={live.socket_path}",)):
        result = run_pytest(code, *arguments)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([message])


def test_no_cassette_can_be_asked_for(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest
        pytestmark = pytest.mark.agents_sandbox(cassette=True)

        @pytest.mark.agents_sandbox(cassette=False)
        def test_it(agents_sandbox_daemon):
            assert agents_sandbox_daemon.unscripted == "succeed"
        """
    )
    result.assert_outcomes(passed=1)


def test_a_recording_that_cannot_be_written_fails_the_test(
    run_pytest: RunPytest, live: FakeDaemon, pytester: pytest.Pytester
) -> None:
    (pytester.path / "cassettes").touch()
    result = run_pytest(TESTS, f"--agents-sandbox-record={live.socket_path}", "-k", "blocking")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*::test_blocking cannot be recorded: *cassettes*"])
