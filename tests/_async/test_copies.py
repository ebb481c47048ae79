"""Clients and streams cannot be copied or pickled, and say what to do."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from agents_sandbox import AgentsSandboxClient, SandboxHandle
from agents_sandbox.testing import FakeDaemon

from ..releases import any_release

pytestmark = any_release

each_way = pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])

Duplicate = Callable[[Any], Any]


@each_way
async def test_a_client_says_what_to_do_instead(
    client: AgentsSandboxClient, daemon: FakeDaemon, duplicate: Duplicate
) -> None:
    unused = AgentsSandboxClient(daemon.socket_path)
    await client.ping()
    advice = "Client cannot be copied or pickled: create a new one with the same socket_path$"
    for thing in (client, unused):
        with pytest.raises(TypeError, match=advice):
            duplicate(thing)
    gc.collect()  # what a failed copy leaves behind would complain
    assert (await client.ping()).daemon == "agboxd"


@each_way
async def test_a_stream_says_what_to_do_instead(
    client: AgentsSandboxClient, sandbox: SandboxHandle, duplicate: Duplicate
) -> None:
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        async for event in events:
            assert event.sequence == 1
            break
        with pytest.raises(TypeError, match="EventStream cannot be copied or pickled: subscribe "):
            duplicate(events)
        gc.collect()
        async for event in events:
            assert event.sequence == 2
            break
