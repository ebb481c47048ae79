"""Merging of a `config_yaml` and a spec."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol.spec import Port, SideContainer, Spec
from agents_sandbox.testing._validation.merge import merge

from .raw import IMAGE, connected
from .releases import RELEASES, since

pytestmark = pytest.mark.once

TEXT = st.sampled_from(["", "a", "b"])
TEXTS = st.lists(st.sampled_from("abc"), max_size=3)
TEXT_MAP = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))
MOUNTS = st.lists(st.builds(pb.MountSpec, source=TEXT), max_size=2)
SIDE = st.lists(st.builds(SideContainer, TEXT, TEXT), max_size=2)
SPECS = st.builds(
    Spec,
    image=TEXT,
    mounts=MOUNTS,
    copies=st.lists(st.builds(pb.CopySpec, source=TEXT), max_size=2),
    builtin_tools=st.lists(st.sampled_from("abc"), max_size=3, unique=True),
    required_services=SIDE,
    optional_services=SIDE,
    companion_containers=SIDE,
    labels=TEXT_MAP,
    envs=TEXT_MAP,
    idle_ttl=st.none() | st.builds(Duration, seconds=st.integers(0, 2)),
    ports=st.lists(st.builds(Port, st.integers(0, 2)), max_size=2),
    command=TEXTS,
    cpu_limit=TEXT,
    memory_limit=TEXT,
    disk_limit=TEXT,
    gpus=TEXT,
)
REPLACED = ("image", "command", "cpu_limit", "memory_limit", "disk_limit", "gpus")
LISTS = (
    "mounts",
    "copies",
    "required_services",
    "optional_services",
    "companion_containers",
    "ports",
)


@given(SPECS, st.booleans())
def test_merging_with_an_empty_spec_changes_nothing(spec: Spec, append_lists: bool) -> None:
    assert merge(spec, Spec(), append_lists=append_lists) == spec
    assert merge(Spec(), spec, append_lists=append_lists) == spec


@given(SPECS, SPECS, SPECS, st.booleans())
def test_merging_is_associative(one: Spec, two: Spec, three: Spec, append_lists: bool) -> None:
    left = merge(merge(one, two, append_lists=append_lists), three, append_lists=append_lists)
    right = merge(one, merge(two, three, append_lists=append_lists), append_lists=append_lists)
    assert left == right


@given(SPECS, SPECS, st.booleans())
def test_fields_merged_alike_in_all_releases(
    base: Spec, override: Spec, append_lists: bool
) -> None:
    spec = merge(base, override, append_lists=append_lists)
    for name in REPLACED:
        assert getattr(spec, name) == (getattr(override, name) or getattr(base, name))
    assert spec.labels == {**base.labels, **override.labels}
    assert spec.envs == {**base.envs, **override.envs}
    assert spec.idle_ttl == (base.idle_ttl if override.idle_ttl is None else override.idle_ttl)


@given(SPECS, SPECS)
def test_lists_replace_or_append(base: Spec, override: Spec) -> None:
    replaced = merge(base, override, append_lists=False)
    appended = merge(base, override, append_lists=True)
    for name in LISTS:
        below, above = getattr(base, name), getattr(override, name)
        assert getattr(replaced, name) == (above or below)
        assert getattr(appended, name) == below + above
    assert replaced.builtin_tools == (override.builtin_tools or base.builtin_tools)
    new = [tool for tool in override.builtin_tools if tool not in base.builtin_tools]
    assert appended.builtin_tools == base.builtin_tools + new


def test_zero_idle_ttl_wins() -> None:
    spec = merge(Spec(idle_ttl=Duration(seconds=9)), Spec(idle_ttl=Duration()), append_lists=True)
    assert spec.idle_ttl == Duration()


@pytest.mark.parametrize("version", RELEASES)
def test_lists_are_appended_since_043(version: str) -> None:
    yaml = f"image: {IMAGE}\nbuiltin_tools: [apt]\nmounts: [{{source: /, target: /a}}]".encode()
    spec: dict[str, Any] = {
        "builtin_tools": ["apt", "git"],
        "mounts": [{"source": "/", "target": "/a"}],
    }
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        request: dict[str, Any] = {"config_yaml": yaml, "create_spec": spec, "sandbox_id": "box-1"}
        if version in since("0.4.3"):
            refused = raw.refused(methods.CREATE_SANDBOX, **request)
            assert refused.message == "conflicting target /a between mount and mount"
            spec["mounts"] = [{"source": "/", "target": "/b"}]
        # The tool that both name is not refused as a duplicate.
        assert raw(methods.CREATE_SANDBOX, **request).sandbox.image == IMAGE


@pytest.mark.parametrize("version", since("0.3.0"))
def test_companions_are_appended_in_order_since_043(version: str) -> None:
    yaml = f"image: {IMAGE}\ncompanion_containers: {{b: {{image: i}}, a: {{image: i}}}}".encode()
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        request: dict[str, Any] = {"config_yaml": yaml, "sandbox_id": "box-1"}
        spec = {"companion_containers": [{"name": "c", "image": "i"}]}
        handle = raw(methods.CREATE_SANDBOX, create_spec=spec, **request).sandbox
        names = [companion.name for companion in handle.companion_containers]
        assert names == (["a", "b", "c"] if version in since("0.4.3") else ["c"])
