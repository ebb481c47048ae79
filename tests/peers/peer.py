"""The published client under test and what the steps share."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

# Its import name is that of this SDK, so type checkers would look up the names there.
sdk: Any = importlib.import_module("agents_sandbox")

IMAGE = "example.test/primary:1"
BOX = "peer-box"
"""The id of the sandbox that most steps share."""
UNKNOWN = "peer-ghost"
LABELS = {"team": "core", "empty": ""}


def expect(what: str, seen: object, wanted: object) -> None:
    """Fail the step unless the client returned what it should."""
    if seen != wanted:
        raise AssertionError(f"{what} is {seen!r}, not {wanted!r}")


async def expect_error(call: Awaitable[object], name: str, text: str, **facts: object) -> None:
    """Fail the step unless the call raises exactly this error of the client.

    Args:
        call: What must fail.
        name: The name of the error's class.
        text: What its message must contain.
        facts: Attributes that it must carry.
    """
    try:
        answer = await call
    except sdk.SandboxClientError as error:
        expect("the error's class", type(error).__name__, name)
        if text not in str(error):
            raise AssertionError(f"{str(error)!r} does not contain {text!r}") from error
        for fact, value in facts.items():
            expect(f"{name}.{fact}", getattr(error, fact), value)
    else:
        raise AssertionError(f"expected {name}, got {answer!r}")


@asynccontextmanager
async def subscription(client: Any, sandbox_id: str, **options: Any) -> AsyncIterator[Any]:
    """An event stream that ends with the block."""
    async with aclosing(client.subscribe_sandbox_events(sandbox_id, **options)) as events:
        yield events


async def events_until(events: Any, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Read a stream until there are enough events."""
    seen: list[Any] = []
    try:
        async for event in events:
            seen.append(event)
            if enough(seen):
                return seen
    except sdk.SandboxClientError as error:  # a step's timeout becomes one, too
        raise AssertionError(f"the stream broke after {names(seen)}: {error}") from error
    raise AssertionError(f"the stream ended after {names(seen)}")


async def history_until(client: Any, sandbox_id: str, event_type: str) -> list[Any]:
    """All events of a sandbox, up to the first one of a type."""
    async with subscription(client, sandbox_id) as events:
        return await events_until(events, lambda seen: names(seen)[-1] == event_type)


def names(events: list[Any]) -> list[str]:
    """The types of events."""
    return [event.event_type.name for event in events]
