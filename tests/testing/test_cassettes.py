"""Cassettes: their format, and which take a command gets."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import (
    AgentsSandboxClient,
    CompanionContainerSpec,
    ExecFailedError,
    HealthcheckConfig,
    SyncAgentsSandboxClient,
)
from agents_sandbox.testing import ContainerBehavior, FakeDaemon
from agents_sandbox.testing._cassettes.cassette import Cassette, RecordedSandbox, Take, merged
from agents_sandbox.testing._cassettes.closest import Asked, closest, difference
from agents_sandbox.testing._cassettes.codec import LARGE, decode, encode
from agents_sandbox.testing._cassettes.replacing import (
    Replacer,
    env_placeholders,
    filled,
    id_placeholders,
    matches,
    narrowed,
)
from agents_sandbox.testing._cassettes.replacing import redactions as redactions_of
from agents_sandbox.testing._cassettes.store import load, save

pytestmark = pytest.mark.once

IMAGE = "python:3.13"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OUTPUTS = st.none() | st.binary(max_size=50) | TEXTS.map(str.encode)
TAKES = st.builds(
    Take,
    argv=st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    cwd=TEXTS,
    env=st.lists(TEXTS, max_size=2).map(tuple),
    stdout=OUTPUTS,
    stderr=OUTPUTS | st.integers(1, 9).map(lambda size: b"\xff" * (LARGE + size)),
    exit_code=st.none() | st.integers(0, 255),
    error=TEXTS,
    seconds=st.floats(0, 1e6),
    input=OUTPUTS,
)
SANDBOXES = st.builds(
    RecordedSandbox,
    image=TEXTS,
    spec=st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=2), max_size=2),
    takes=st.lists(TAKES, max_size=3).map(tuple),
    events=st.lists(TEXTS, max_size=3).map(tuple),
)
CASSETTES = st.builds(Cassette, daemon=TEXTS, sandboxes=st.lists(SANDBOXES, max_size=3).map(tuple))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def no_file(name: str) -> bytes:
    raise AssertionError(name)


@given(CASSETTES)
def test_what_is_encoded_is_decoded(cassette: Cassette) -> None:
    encoded = encode(cassette, "x.json")
    assert decode(encoded.text, encoded.files.__getitem__) == cassette
    assert all(name.startswith("x.json.sandbox-") for name in encoded.files)


def test_people_can_review_it() -> None:
    take = Take(("sh", "-c", "é"), "/srv", ("A",), b"one\ntwo\n", b"\xff", 3, "", 0.25, b"in\n")
    large = Take(("cat",), "/", stdout=b"x" * (LARGE + 1), stderr=None, exit_code=None)
    sandbox = RecordedSandbox(IMAGE, {"envs": ["CI"]}, (take, large), ("EXEC_STARTED exec-1",))
    encoded = encode(Cassette("0.4.3", (sandbox,)), "x.json")
    beside = f"x.json.sandbox-1.exec-2.{sha256(large.stdout or b'').hexdigest()[:12]}.stdout"
    assert encoded.files == {beside: large.stdout}
    assert '"é"' in encoded.text
    assert decode(encoded.text, encoded.files.__getitem__).sandboxes == (sandbox,)
    assert json.loads(encoded.text) == {
        "version": 1,
        "daemon": "0.4.3",
        "sandboxes": [
            {
                "id": "sandbox-1",
                "image": IMAGE,
                "spec": {"envs": ["CI"]},
                "execs": [
                    {
                        "id": "exec-1",
                        "argv": ["sh", "-c", "é"],
                        "cwd": "/srv",
                        "env": ["A"],
                        "input": "in\n",
                        "stdout": ["one\n", "two\n"],
                        "stderr": {"base64": "/w=="},
                        "exit_code": 3,
                        "error": "",
                        "seconds": 0.25,
                    },
                    {
                        "id": "exec-2",
                        "argv": ["cat"],
                        "cwd": "/",
                        "env": [],
                        "input": "",
                        "stdout": {"file": beside},
                        "stderr": None,
                        "exit_code": None,
                        "error": "",
                        "seconds": 0.0,
                    },
                ],
                "events": ["EXEC_STARTED exec-1"],
            }
        ],
    }


@given(JSON)
def test_anything_else_is_refused(tree: Any) -> None:
    with pytest.raises(ValueError):
        decode(json.dumps({"version": 1, "daemon": "", "sandboxes": [tree]}), no_file)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("argv", [], "argv is wrong"),
        ("argv", [1], "argv is wrong"),
        ("exit_code", 256, "exit_code is wrong: 256"),
        ("exit_code", True, "exit_code is wrong: True"),
        ("seconds", -1, "seconds is wrong: -1"),
        ("seconds", float("nan"), "seconds is wrong: nan"),
        pytest.param("seconds", 10**400, "seconds is wrong", id="seconds-huge"),
        ("argv", ["\ud800"], "argv is no text"),
        ("error", "\ud800", "error is no text"),
        ("stdout", 1, "stdout is wrong: 1"),
        ("stdout", {"base64": "?"}, "stdout is no base64"),
        ("stdout", "\ud800", "stdout is no text"),
        ("stdout", {"file": "../secret"}, "the file of stdout is wrong: '../secret'"),
        ("stdout", {"file": ".."}, "the file of stdout is wrong"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, message: str) -> None:
    good = encode(Cassette("", (RecordedSandbox("", takes=(Take(("a",), "/"),)),)), "")
    tree = json.loads(good.text)
    tree["sandboxes"][0]["execs"][0][field] = value
    with pytest.raises(ValueError, match=message):
        decode(json.dumps(tree), no_file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "version is missing"),
        ('{"version": 2}', "it has version 2, and this SDK reads version 1"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "Expecting"),
    ],
)
def test_what_is_no_cassette_is_refused_with_its_path(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        FakeDaemon(cassette=path)
    assert str(path) in str(caught.value)


LARGE_TAKE = Take(("a",), "/", stdout=b"x" * 99_999)


def test_saving_replaces_the_files_of_the_old_one_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    large = Cassette("1", (RecordedSandbox("", takes=(LARGE_TAKE,)),))
    save(path, large)
    assert load(path) == large
    foreign = path.with_name("foreign")
    foreign.write_text("")
    assert len(list(path.parent.iterdir())) == 3
    tree = json.loads(path.read_text())
    tree["more"] = {"file": "foreign"}
    path.write_text(json.dumps(tree))
    save(path, Cassette("1"))
    assert sorted(path.parent.iterdir()) == [foreign, path]
    path.write_text("{")
    save(path, Cassette("2"))
    assert load(path) == Cassette("2")


def with_output(data: bytes) -> Cassette:
    return Cassette("1", (RecordedSandbox("", takes=(replace(LARGE_TAKE, stdout=data),)),))


def test_a_save_that_is_interrupted_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    old = with_output(b"x" * 99_999)
    save(path, old)
    move = Path.replace
    moved: list[Path] = []

    def no_space(self: Path, target: Path) -> None:
        if moved:
            raise OSError(errno.ENOSPC, "No space left on device")
        moved.append(move(self, target))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", no_space)
        with pytest.raises(OSError, match="No space"):
            save(path, with_output(b"y" * 99_999))
    assert load(path) == old
    assert not list(tmp_path.glob("*.new")) + list(tmp_path.glob(".*.new"))


def test_a_save_writes_through_no_link(tmp_path: Path) -> None:
    path, target = tmp_path / "x.json", tmp_path / "target"
    target.write_text("precious")
    cassette = with_output(b"x" * 99_999)
    (name,) = encode(cassette, path.name).files
    path.with_name(name).symlink_to(target)
    save(path, cassette)
    assert target.read_text() == "precious"
    assert load(path) == cassette


def test_cassettes_whose_names_are_alike_share_no_files(tmp_path: Path) -> None:
    one, other = tmp_path / "z", tmp_path / "z.json"
    save(one, with_output(b"x" * 99_999))
    save(other, with_output(b"y" * 99_999))
    save(other, Cassette("2"))
    assert load(one) == with_output(b"x" * 99_999)


def test_recordings_that_end_at_once_are_written_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    both = [Take((name,), "/", stdout=name.encode() * 99_999) for name in "ab"]
    with futures.ThreadPoolExecutor() as pool:
        for _ in range(20):
            path.unlink(missing_ok=True)
            sandboxes = [Cassette("1", (RecordedSandbox("", takes=(one,)),)) for one in both]
            list(pool.map(lambda one: save(path, one, keep=True), sandboxes))
            (sandbox,) = load(path).sandboxes
            assert sorted(take.argv for take in sandbox.takes) == [("a",), ("b",)]


def test_files_that_are_no_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    save(path, with_output(b"x" * 99_999))
    (beside,) = (item for item in tmp_path.iterdir() if item != path)
    beside.unlink()
    for kind in ("missing", "FIFO", "link"):
        beside.unlink(missing_ok=True)
        if kind == "FIFO":
            os.mkfifo(beside)
        elif kind == "link":
            beside.symlink_to(path)
        with pytest.raises(ValueError, match=r"x\.json': (its file )?'x\.json\.sandbox-1"):
            FakeDaemon(cassette=path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a regular file"):
        FakeDaemon(cassette=path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]"])
def test_whatever_is_there_is_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    save(path, with_output(b"new"))
    assert load(path) == with_output(b"new")


@given(st.lists(SANDBOXES, max_size=2), st.lists(SANDBOXES, max_size=2))
def test_merging_keeps_every_old_take_and_adds_what_is_new(
    old: list[RecordedSandbox], new: list[RecordedSandbox]
) -> None:
    one, other = Cassette("1", tuple(old)), Cassette("2", tuple(new))
    both = merged(one, other)
    for before, after in zip(old, both.sandboxes, strict=False):
        assert after.takes[: len(before.takes)] == before.takes
        assert after.image == before.image
    for image in {sandbox.image for sandbox in new}:
        for fresh, after in zip(
            (sandbox for sandbox in new if sandbox.image == image),
            (sandbox for sandbox in both.sandboxes if sandbox.image == image),
            strict=False,
        ):
            for take in fresh.takes:
                count = [item.command for item in after.takes].count(take.command)
                assert count >= [item.command for item in fresh.takes].count(take.command)
    assert merged(both, other).sandboxes == both.sandboxes


def test_merging_pairs_sandboxes_by_image_and_renumbers_events() -> None:
    python = RecordedSandbox("python", takes=(take("echo", "py"), take("old")))
    events = ("SANDBOX_READY", "EXEC_STARTED exec-1", "EXEC_STARTED exec-2")
    new = RecordedSandbox("python", takes=(take("new"), take("echo", "py")), events=events)
    node = RecordedSandbox("node", takes=(take("echo", "node"),))
    assert merged(Cassette("1", (python,)), Cassette("2", (node, new))).sandboxes == (
        RecordedSandbox(
            "python",
            takes=(take("echo", "py"), take("old"), take("new")),
            events=("SANDBOX_READY", "EXEC_STARTED exec-3", "EXEC_STARTED exec-1"),
        ),
        node,
    )


def test_merging_takes_all_placeholders_for_the_same() -> None:
    old = RecordedSandbox(
        "[redacted-1]/a",
        takes=(
            replace(take("cat", "[redacted-1] [exec-1]"), cwd="/[env-HOME]"),
            replace(take("sh"), input=b"\xff[redacted-1]"),
        ),
    )
    new = RecordedSandbox(
        "[redacted-2]/a",
        takes=(
            replace(take("sh"), input=b"\xff[redacted-2]"),
            replace(take("cat", "[redacted-2] [exec-7]"), cwd="/[redacted-1]"),
        ),
    )
    assert merged(Cassette("1", (old,)), Cassette("2", (new,))).sandboxes == (old,)
    # Other texts remain different, also those that only look like placeholders.
    for argv in ("cat", "[=redacted-2] [exec-1]"), ("cat", "x [exec-1]"), ("cat", ""):
        other = RecordedSandbox("[redacted-1]/a", takes=(replace(old.takes[0], argv=argv),))
        (both,) = merged(Cassette("1", (old,)), Cassette("2", (other,))).sandboxes
        assert both.takes == (*old.takes, *other.takes)


def test_secrets_and_ids_are_replaced_longest_first() -> None:
    names = {"f" * 32: "sandbox-1", "mine": "sandbox-2"}
    replacer = Replacer({**redactions_of(["key", "keyed"]), **id_placeholders(names)})
    assert replacer.text("keyed key mine") == "[redacted-2] [redacted-1] mine"
    assert replacer.data_pattern(b"\xffkey" + b"f" * 32) == b"\xff[redacted-1][sandbox-1]"
    assert replacer.tree({"b": ["key", 1], "a": {}}) == {"a": {}, "b": ["[redacted-1]", 1]}
    assert Replacer({}).text("key") == "key"
    with pytest.raises(ValueError, match="empty string"):
        redactions_of([""])
    with pytest.raises(TypeError, match="redact must be a collection"):
        redactions_of("key")


def test_values_of_variables_are_replaced_by_their_names() -> None:
    variables = [
        ("B", "sk-live-1234"),
        ("A-1", "sk-live-1234"),
        ("C", "short"),
        ("D", "/workspace"),
    ]
    assert env_placeholders(variables) == {"sk-live-1234": "[env-A_1]"}


@pytest.mark.parametrize("secret", ["", "bad\udcff"])
def test_secrets_that_cannot_be_replaced_are_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="redact must not contain"):
        redactions_of([secret])


@given(st.lists(st.sampled_from(["[exec-9]", "[=env-A]", "[", "]", "=", "exec-1", "key", "é"])))
def test_what_looks_like_a_placeholder_matches_itself_only(parts: list[str]) -> None:
    text = "".join(parts)
    replacer = Replacer(redactions_of(["key"]))
    recorded = replacer.pattern(text)
    assert matches(recorded, text)
    assert matches(recorded, text.replace("key", "another"))
    if not text.endswith("key"):
        assert not matches(recorded, text + "x")
    if "[exec-9]" in text:
        assert not matches(recorded, text.replace("[exec-9]", "x"))
    assert replacer.data_pattern(text.encode()) == recorded.encode()


def test_many_placeholders_take_no_longer() -> None:
    recorded = "token=[redacted-1];" * 1000
    assert matches(recorded, "token=secret;" * 1000)
    assert not matches(recorded, "token=secret;" * 1001 + "x")


@given(st.lists(st.sampled_from(["[exec-9]", "[=env-A]", "[", "]", "=", "value", "é"])))
def test_what_is_filled_in_is_what_was_replaced(parts: list[str]) -> None:
    """Also where an output has texts that look like placeholders."""
    text = "".join(parts)
    replacer = Replacer({"value": "[env-A]", "secret": "[redacted-1]"})
    data = text.encode() + b"\xff"
    assert filled(replacer.data_pattern(data), {"[env-A]": "value"}) == data
    changed = text.replace("value", "[exec-9]").encode() + b"\xff"
    assert filled(replacer.data_pattern(data), {"[env-A]": "[exec-9]"}) == changed
    assert filled(replacer.data_pattern(b"secret"), {}) == b"[redacted-1]"
    recorded = replacer.pattern(text)
    assert matches(narrowed(recorded, {"[env-A]": "value"}), text)
    assert matches(narrowed(recorded, {"[env-A]": "[=exec-9]"}), text.replace("value", "[=exec-9]"))
    if "value" in parts:
        assert not matches(narrowed(recorded, {"[env-A]": "other"}), text)


def test_anything_matches_a_placeholder() -> None:
    assert matches("--token=[redacted-1].", "--token=a\nb.")
    assert not matches("--token=[redacted-1].", "--token=a")
    assert matches("a.c", "a.c")
    assert not matches("a.c", "abc")


def cassette_of(path: Path, *sandboxes: list[Take], image: str = IMAGE) -> Path:
    recorded = [RecordedSandbox(image, takes=tuple(takes)) for takes in sandboxes]
    save(path / "x.json", Cassette("0.4.3", tuple(recorded)))
    return path / "x.json"


def take(*argv: str, cwd: str = "/workspace", **more: Any) -> Take:
    return Take(argv, cwd, **more)


@contextmanager
def replaying(path: Path, **options: Any) -> Iterator[tuple[FakeDaemon, SyncAgentsSandboxClient]]:
    daemon = FakeDaemon(cassette=path, **options)
    with daemon, SyncAgentsSandboxClient(daemon.socket_path) as client:
        yield daemon, client


def test_each_command_gets_its_own_next_take(tmp_path: Path) -> None:
    path = cassette_of(
        tmp_path,
        [take("a", stdout=b"1"), take("b", stdout=b"2", exit_code=3), take("a", stderr=b"\xff")],
        [take("a", stdout=b"4", cwd="/srv")],
    )
    with replaying(path) as (daemon, client):
        assert daemon.unscripted == "fail"
        one = client.create_sandbox(image=IMAGE).sandbox_id
        other = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(other, ["a"], cwd="/srv/").stdout == "4"
        result = client.run(one, ["b"])
        assert (result.stdout, result.exit_code) == ("2", 3)
        with pytest.raises(AssertionError, match=r"exec-1 of sandbox-1, never played: \('a',\)"):
            daemon.assert_all_used()
        assert [client.run(one, ["a"]).stdout for _ in range(2)] == ["1", ""]
        daemon.assert_all_used()
        daemon.reset()
        again = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(again, ["a"]).stdout == "1"
        daemon.on_exec(["a"]).stdout("own")
        assert client.run(again, ["a"]).stdout == "own"


async def test_the_async_client_gets_the_same(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("a", stdout=b"1")])
    with FakeDaemon(cassette=path) as daemon:
        client = AgentsSandboxClient(daemon.socket_path)
        async with client, client.sandbox(image=IMAGE) as sandbox:
            assert (await sandbox.run(["a"])).stdout == "1"
        daemon.assert_all_used()


def complaint(path: Path, *argv: str, image: str = IMAGE, sandboxes: int = 1) -> str:
    """What a test is told about a command that the cassette lacks, in the last new sandbox."""
    with FakeDaemon(cassette=path) as daemon:
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            created = [client.create_sandbox(image=image) for _ in range(sandboxes)]
            result = client.run(created[-1].sandbox_id, argv)
            assert result.error is not None
            assert result.error.startswith("the cassette has no such take; the closest one:\n")
            with pytest.raises(ExecFailedError, match=re.escape(result.error.splitlines()[-1])):
                result.check()
        with pytest.raises(AssertionError) as caught:
            daemon.assert_all_scripted()
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()
    return str(caught.value).replace(str(path), "PATH").partition("close: ")[2]


def test_another_argument_is_shown_beside_the_closest_one(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("ls"), take("pip", "install", "one"), take("pip", "list")])
    assert complaint(path, "pip", "install", "two").splitlines() == [
        "exec-2 of sandbox-1 in 'PATH':",
        '          "pip"',
        '          "install"',
        '        - "one"',
        '        + "two"',
        "          cwd /workspace",
    ]


def test_a_difference_far_away_and_one_of_words_are_shown(tmp_path: Path) -> None:
    script = [f"line {number}\n" for number in range(300)]
    other = [*script[:250], "changed\n", *script[251:]]
    path = cassette_of(tmp_path, [take("sh", "-c", "".join(script))])
    assert complaint(path, "sh", "-c", "".join(other)).splitlines()[1:] == [
        '            "line 248\\n"',
        '            "line 249\\n"',
        '        -   "line 250\\n"',
        '        +   "changed\\n"',
        '            "line 251\\n"',
        '            "line 252\\n"',
    ]
    path = cassette_of(tmp_path, [take("echo", "x" * 3000 + "a")])
    told = complaint(path, "echo", "x" * 3000 + "b").splitlines()
    assert told[-3:-1] == ['        -   "a"', '        +   "b"']
    path = cassette_of(tmp_path, [take("a b\nc")])
    assert complaint(path, "a b", "c").splitlines()[1:-1] == [
        '        - "a b\\n"',
        '        -   "c"',
        '        + "a b"',
        '        + "c"',
    ]
    path = cassette_of(tmp_path, [take("", *"abcdefgh")])
    assert complaint(path, "", "x", "y").splitlines()[1:-1] == [
        '          ""',
        *(f'        - "{word}"' for word in "abcde"),
        "        - ... 3 more",
        '        + "x"',
        '        + "y"',
    ]
    path = cassette_of(tmp_path, [take(*"same" * 20)])
    assert complaint(path, *"sale" * 20).splitlines()[-1] == "        ..."


def test_what_matches_is_no_difference() -> None:
    recorded = take("login", "--key=[redacted-1]", "x", cwd="/[env-DIR]", input=None)
    asked = Asked(("login", "--key=hunter2", "y", "z"), "/somewhere", b"text")
    assert difference(recorded, asked) == [
        '    "login"',
        '    "--key=[redacted-1]"',
        '  - "x"',
        '  + "y"',
        '  + "z"',
        "    cwd /[env-DIR]",
    ]
    assert "  - cwd /[env-DIR]x" in difference(replace(recorded, cwd="/[env-DIR]x"), asked)
    secret = Asked(("login", "z"), "/", b"key=hunter2")
    assert "hunter2" not in "".join(difference(take("login", input=b"key=[redacted-1]"), secret))


def test_a_long_script_that_changed_is_explained_at_once(tmp_path: Path) -> None:
    one, other = (
        "".join(f"{name}_{number} = {call}({number})  # comment\n" for number in range(10_000))
        for name, call in (("result", "compute"), ("outcome", "evaluate"))
    )
    takes = [take("python3", "-c", one[:1000] + str(number)) for number in range(300)]
    asked = Asked(("python3", "-c", other), "/workspace", b"")
    began = time.process_time()
    assert closest([*takes, take("python3", "-c", one)], asked) is not None
    shown = difference(take("python3", "-c", one), asked)
    assert '  - "result_0 = compute(0)  # comment\\n"' in shown
    assert '  + "outcome_0 = evaluate(0)  # comment\\n"' in shown
    assert time.process_time() - began < 2


def test_input_is_compared_too(tmp_path: Path) -> None:
    other = take("sh", input=b"make test\n")
    login = take("login", input=b"[env-KEY]")
    path = cassette_of(
        tmp_path, [other, take("sh", input=b"echo 1\n"), take("cat", input=None), login]
    )
    with replaying(path) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        result = client.run(sandbox_id, ["sh"], input="echo 22\n")
        assert result.error is not None
        assert result.error.splitlines()[-3:] == [
            "    input",
            '  - "echo 1\\n"',
            '  + "echo 22\\n"',
        ]
        assert client.run(sandbox_id, ["sh"], input="echo 1\n").exit_code == 0
        assert client.run(sandbox_id, ["cat"], input="x").exit_code == 0
        key = {"KEY": "schlüssel"}
        assert client.run(sandbox_id, ["login"], input="schlüssel", env_overrides=key).error is None
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()


def test_sandboxes_of_threads_find_their_own_recording(tmp_path: Path) -> None:
    count = 4
    path = cassette_of(
        tmp_path,
        *(
            [
                take("setup", stdout=b"in [sandbox-%d]" % (n + 1), stderr=None),
                take("echo", str(n), stdout=b"%d" % n),
            ]
            for n in range(count)
        ),
    )
    with replaying(path) as (daemon, client):
        ids = [client.create_sandbox(image=IMAGE).sandbox_id for _ in range(count)]
        for sandbox_id in ids:
            client.run(sandbox_id, ["setup"])
        for number, sandbox_id in reversed(list(enumerate(reversed(ids)))):
            assert client.run(sandbox_id, ["echo", str(number)]).stdout == str(number)
        daemon.assert_all_used()


def test_a_sandbox_can_be_a_free_recording_instead(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("setup"), take("a")], [take("setup"), take("b")])
    with replaying(path) as (daemon, client):
        ids = [client.create_sandbox(image=IMAGE).sandbox_id for _ in range(2)]
        for command in ("setup", "b"):
            client.run(ids[0], [command])
        for command in ("setup", "a"):
            client.run(ids[1], [command])
        daemon.assert_all_used()


def test_a_sandbox_stays_what_its_outputs_were(tmp_path: Path) -> None:
    """Nothing is given out twice, and nothing that was given out is taken back."""
    setups = [take("setup", stdout=b"1"), take("a")], [take("setup", stdout=b"2"), take("b")]
    path = cassette_of(tmp_path, *setups)
    with replaying(path) as (daemon, client):
        one, other = (client.create_sandbox(image=IMAGE).sandbox_id for _ in range(2))
        assert client.run(other, ["setup"]).stdout == "2"
        assert client.run(one, ["setup"]).stdout == "1"
        assert "but this sandbox is sandbox-1" in str(client.run(one, ["b"]).error)
        assert client.run(other, ["b"]).exit_code == 0
        assert client.run(one, ["a"]).exit_code == 0
        daemon.assert_all_used()
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()
    with replaying(path) as (daemon, client):
        ids = [client.create_sandbox(image=IMAGE).sandbox_id for _ in range(2)]
        assert client.run(ids[0], ["setup"]).stdout == "1"
        assert client.run(ids[1], ["a"]).error  # of the first one, which is at work
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()


def test_another_order_fails_if_the_test_says_so(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("make"), take("make", "test"), take("ls"), take("make")])
    with replaying(path) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        for argv in (["make", "test"], ["make"], ["make"], ["ls"]):
            assert client.run(sandbox_id, argv).error is None
        daemon.assert_all_used()
    with replaying(path, in_order=True) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(sandbox_id, ["make"]).error is None
        assert str(client.run(sandbox_id, ["ls"]).error).endswith(
            "x.json', but exec-2 comes before it: ('make', 'test')"
        )
        for argv in (["make", "test"], ["ls"], ["make"]):
            assert client.run(sandbox_id, argv).error is None
        daemon.assert_all_used()
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()
    with pytest.raises(ValueError, match="in_order requires a cassette"):
        FakeDaemon(in_order=True)


def test_variables_are_those_of_the_replay(tmp_path: Path) -> None:
    """They are matched and filled in as they are now, and nothing else is."""
    texts = b"[env-MODE] of [sandbox-1] by [exec-1], [=env-MODE], [env-UNKNOWN]\n"
    build = take("build", "--[env-MODE]", stdout=texts, stderr=b"[sandbox-2]", cwd="/[env-MODE]")
    path = cassette_of(
        tmp_path,
        [build, take("echo", "[env-MODE]"), take("echo", "development"), take("[env-DB]")],
        [take("x", exit_code=None, error="no [env-MODE]")],
    )
    database = CompanionContainerSpec("db", "pg", envs={"DB": "of the service"})
    with replaying(path) as (daemon, client):
        sandbox_id = client.create_sandbox(
            image=IMAGE, envs={"MODE": "production"}, companion_containers=[database]
        ).sandbox_id
        assert client.run(sandbox_id, ["build", "--development"], cwd="/production").error
        assert client.run(sandbox_id, ["build", "--production"], cwd="/development").error
        result = client.run(sandbox_id, ["build", "--production"], cwd="/production")
        assert result.stdout == (
            f"production of {sandbox_id} by {result.exec_id}, [env-MODE], [env-UNKNOWN]\n"
        )
        assert result.stderr == "[sandbox-2]"
        assert client.run(sandbox_id, ["echo", "development"]).error is None
        assert (
            client.run(sandbox_id, ["echo", "test"], env_overrides={"MODE": "test"}).error is None
        )
        assert client.run(sandbox_id, ["of the service"]).error is None
        other = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(other, ["x"]).error == "no production"
        daemon.assert_all_used()
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()


def test_a_script_uses_up_the_take_that_it_replaces(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("a"), take("a", stdout=b"2")])
    with replaying(path) as (daemon, client):
        daemon.on_exec(["a"]).stdout("own").times(1)
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        assert [client.run(sandbox_id, ["a"]).stdout for _ in range(2)] == ["own", "2"]
        daemon.assert_all_used()


def test_a_sandbox_that_was_never_created_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    ready = RecordedSandbox(IMAGE, events=("SANDBOX_READY",))
    save(path, Cassette("1", (ready, ready)))
    with replaying(path) as (daemon, client):
        client.create_sandbox(image=IMAGE)
        with pytest.raises(AssertionError, match=r": sandbox-2, never created$"):
            daemon.assert_all_used()
    # Also if the one that was created is the other one.
    path = cassette_of(tmp_path, [take("a")], [take("b")])
    with replaying(path) as (daemon, client):
        client.run(client.create_sandbox(image=IMAGE).sandbox_id, ["b"])
        with pytest.raises(AssertionError, match=r": sandbox-1, never created$"):
            daemon.assert_all_used()


def test_a_changed_command_is_one_report(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("a", "1"), take("a", "2")])
    with replaying(path) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        error = client.run(sandbox_id, ["a", "3"]).error
        assert error is not None
        assert "exec-1" in error
        with pytest.raises(AssertionError) as caught:
            daemon.assert_all_used()
        assert "exec-1" not in str(caught.value)
        assert "exec-2" in str(client.run(sandbox_id, ["a", "4"]).error)
        daemon.assert_all_used()
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.stop()


def test_a_missing_take_another_sandbox_and_another_image_are_told(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("a"), take("c")], [take("b")])
    assert "no further sandbox" in complaint(path, "a", sandboxes=3)
    with replaying(path) as (daemon, client):
        one, other = (client.create_sandbox(image=IMAGE).sandbox_id for _ in range(2))
        client.run(one, ["a"])
        assert str(client.run(one, ["b"]).error).endswith(
            "exec-1 of sandbox-2 in 'PATH', but this sandbox is sandbox-1".replace(
                "PATH", str(path)
            )
        )
        assert "but this sandbox is sandbox-2" in str(client.run(other, ["c"]).error)
        with pytest.raises(AssertionError):
            daemon.stop()
    assert complaint(path, "a", image="other") == (
        "'PATH' has no further sandbox with the image 'other'"
    )
    with replaying(path) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        client.run(sandbox_id, ["a"])
        assert "all its takes were played (1 of 1)" in str(client.run(sandbox_id, ["a"]).error)
        with pytest.raises(AssertionError):
            daemon.stop()
    empty = tmp_path / "empty.json"
    save(empty, Cassette("1", (RecordedSandbox(IMAGE, events=("SANDBOX_READY",)),)))
    assert complaint(empty, "a").endswith("has no commands")


def test_durations_are_kept_on_the_virtual_clock_only(tmp_path: Path) -> None:
    slow = take("a", stdout=b"x", seconds=1000.0)
    failing = take("b", exit_code=None, error="no such folder", seconds=5.0)
    path = cassette_of(tmp_path, [slow, failing])
    with replaying(path, virtual_time=True) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        exec_id = client.create_exec(sandbox_id, ["a"]).exec_id
        daemon.advance(999)
        assert client.get_exec(exec_id).exit_code is None
        daemon.advance(1)
        assert client.get_exec(exec_id).exit_code == 0
        exec_id = client.create_exec(sandbox_id, ["b"]).exec_id
        daemon.advance(5)
        assert client.get_exec(exec_id).error == "no such folder"


def test_what_did_not_end_by_itself_runs_until_the_test_ends_it(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("a", stdout=b"x", stderr=None, exit_code=None)])
    with replaying(path) as (daemon, client):
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        exec_id = client.create_exec(sandbox_id, ["a"]).exec_id
        client.cancel_exec(exec_id)
        assert daemon.execs[0].stdout == "x"


def test_hooks_succeed_and_files_are_those_of_the_fake(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [take("a"), take("sh", "-lc", "migrate", stdout=b"x")])
    hooked = CompanionContainerSpec(
        "db", "pg", healthcheck=HealthcheckConfig(["CMD", "x"]), post_start_on_primary=["migrate"]
    )
    options: Any = {"containers": {"pg": ContainerBehavior(healthy_after=0)}}
    for is_scripted in (False, True):
        with replaying(path, **options) as (daemon, client):
            if is_scripted:
                daemon.on_exec(prefix=["sh"]).times(1)
            created = client.create_sandbox(image=IMAGE, companion_containers=[hooked])
            client.run(created.sandbox_id, ["a"])
            with client.subscribe_sandbox_events(created.sandbox_id) as events:
                next(event for event in events if event.companion_container)
            # The hook has not used it up.
            assert client.run(created.sandbox_id, ["sh", "-lc", "migrate"]).stdout == "x"
            daemon.assert_all_used()
    with replaying(path) as (_, client), client.sandbox(image=IMAGE) as sandbox:
        sandbox.files.write_text("x", "y")
        assert sandbox.files.read_text("x") == "y"


def test_commands_that_really_run_exclude_it(tmp_path: Path) -> None:
    path = cassette_of(tmp_path, [])
    with pytest.raises(ValueError, match="cassette requires exec_mode='scripted'"):
        FakeDaemon(cassette=path, exec_mode="passthrough")
    with pytest.raises(FileNotFoundError):
        FakeDaemon(cassette=tmp_path / "none.json")
