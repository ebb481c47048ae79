"""One run of the chaos suite: calls and followers under faults, then the truth without faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from random import Random
from threading import Lock
from typing import Any

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    SandboxEvent,
    SandboxHandle,
    SandboxScope,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, unless_late
from ..chaos.plan import METHODS, Plan
from ..chaos.records import THE_END, CallRecord, Followed, now
from ..chaos.truth import History, Restart, Truth, is_at_rest

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

# Far more than any call takes: a call that takes longer hangs.
CALL_SECONDS = 20.0
STREAM_SECONDS = 25.0


class Life:
    """What a program uses: calls that are recorded, and followers.

    A program ignores errors and continues: the judge decides whether they are allowed.
    """

    def __init__(self, plan: Plan, daemon: FakeDaemon, client: AgentsSandboxClient) -> None:
        self.plan = plan
        self.dice: Random = plan.dice("program")
        self.calls: list[CallRecord] = []
        self.followed: list[Followed] = []
        self._daemon = daemon
        self._client = client
        self._followers: list[Background] = []
        self._disturbed: dict[Followed, Any] = {}
        self._tokens = 0

    def token(self) -> str:
        """Return a token that is unique to one call."""
        self._tokens += 1
        return f"token-{self._tokens}"

    def new_id(self, kind: str) -> str | None:
        """Return an id for something new; None if the client chooses it."""
        return f"{kind}-{self.token()}" if self.plan.own_ids else None

    async def call(self, method: str, **arguments: Any) -> Any:
        """Make a call; return its result, None if it raised."""
        record = CallRecord(method, arguments)
        self.calls.append(record)
        try:
            record.result = await getattr(self._client, method)(**arguments)
        except Exception as error:  # noqa: BLE001 - the judge looks at it
            record.error = error
        record.end()
        return record.result

    async def block(self, body: Callable[[str], Any], **arguments: Any) -> None:
        """Run a body in a block with a sandbox."""
        record = CallRecord("sandbox", arguments)
        self.calls.append(record)
        try:
            async with self._client.sandbox(**arguments) as sandbox:
                record.result = sandbox.handle
                await body(sandbox.id)
        except Exception as error:  # noqa: BLE001 - the judge looks at it
            record.error = error
        record.end()

    async def scope(self, body: Callable[[str], Any], *sandboxes: dict[str, Any]) -> None:
        """Run a body in each sandbox of a scope, all at the same time."""
        records = [CallRecord("sandbox", arguments) for arguments in sandboxes]
        self.calls += records
        async with self._client.scope() as scope:
            going = [Background(self._in_scope, body, scope, record) for record in records]
            for member in going[: self.dice.randint(0, len(going))]:
                await member.result()
        for record, member in zip(records, going, strict=True):
            await member.result()
            record.end()

    async def _in_scope(
        self, body: Callable[[str], Any], scope: SandboxScope, record: CallRecord
    ) -> None:
        try:
            sandbox = await scope.create_sandbox(**record.arguments)
        except Exception as error:  # noqa: BLE001 - the judge looks at it
            record.error = error
        else:
            record.result = sandbox.handle
            await body(sandbox.id)

    def begin(self, method: str, **arguments: Any) -> Background:
        """Start a call and do not wait for it."""
        return Background(self.call, method, **arguments)

    def follow(self, sandbox_id: str) -> None:
        """Follow a sandbox from its first event, in all manners of the plan."""
        for manner in self.plan.followers:
            followed = Followed(sandbox_id, manner)
            dice = self.plan.dice(f"follower {len(self.followed)}")
            self.followed.append(followed)
            self._followers.append(Background(self._follow, followed, dice))

    async def disturb(self) -> None:
        """Close the streams of the followers that the plan disturbs, whatever they are doing."""
        for stream in tuple(self._disturbed.values()):
            await stream.aclose()

    async def end(self) -> None:
        """Let the followers read up to a last event."""
        for sandbox_id in dict.fromkeys(item.sandbox_id for item in self.followed):
            await off_loop(self._daemon.emit, sandbox_id, pb.SandboxEvent(event_id=THE_END))
        for follower in self._followers:
            await follower.result()

    async def _follow(self, followed: Followed, dice: Random) -> None:
        try:
            while not (followed.at_end or followed.left):
                try:
                    await self._subscribe(followed, dice)
                except DaemonUnavailableError:
                    if followed.manner != "manual":
                        raise
                    await self._client.ping()  # waits until the daemon is available again
        except Exception as error:  # noqa: BLE001 - the judge looks at it
            followed.error = error

    async def _subscribe(self, followed: Followed, dice: Random) -> None:
        manner = followed.manner
        stride = dice.randint(1, 6) if manner in ("leaving", "returning") else 1_000_000
        async with self._client.subscribe_sandbox_events(
            followed.sandbox_id,
            from_sequence=followed.position,
            resume=manner != "manual",
            timeout_seconds=STREAM_SECONDS,
        ) as events:
            if manner == "disturbed":
                self._disturbed[followed] = events
            for _ in range(stride):
                event = await self._step(events, dice if manner == "impatient" else None)
                if event is _ENDED and manner in ("disturbed", "manual"):
                    return
                if event is _ENDED:
                    raise AssertionError("the stream ended by itself")
                if isinstance(event, SandboxEvent):
                    followed.events.append(event)
                if followed.at_end:
                    return
        followed.left = manner == "leaving"

    async def _step(self, events: Any, impatient: Random | None) -> Any:
        if impatient is None:
            return await _next(events)
        return await unless_late(impatient.uniform(0.0001, 0.01), _next, events)


_ENDED = object()


async def _next(events: Any) -> Any:
    async for event in events:
        return event
    return _ENDED


class Faults:
    """All faults of a plan; each RPC has its own dice and counts."""

    def __init__(self, plan: Plan, daemon: FakeDaemon) -> None:
        self._daemon = daemon
        self._dice = plan.dice("restarts")
        self._on = ExitStack()
        self._one_at_a_time = Lock()
        self.restarts: list[Restart] = []
        self._chaos = {
            method: self._on.enter_context(
                daemon.faults.chaos(
                    plan.seed,
                    method=method,
                    restart=(plan.odds["restart"], self._restart),
                    **plan.faults(),
                )
            )
            for method in METHODS
        }

    def _restart(self) -> None:
        with self._one_at_a_time:
            begun = now()
            with self._daemon.paused() as pause:
                # Between any two changes, however quickly they follow each other.
                for _ in range(self._dice.randint(0, 3)):
                    with suppress(TimeoutError):
                        pause.step(timeout=0.01)
                if self._dice.random() < 0.5:
                    self._daemon.kill()
                else:  # SIGTERM: it ends once all streams are closed
                    self._daemon.terminate()
                    self._daemon.wait_until_ended(timeout=CALL_SECONDS)
                killed = now()
                self._daemon.start()
            self.restarts.append(Restart(begun, now(), killed))

    def end(self) -> None:
        """Remove all faults and wait for restarts that are in progress."""
        self._on.close()

    @property
    def hits(self) -> dict[str, dict[str, int]]:
        """How often each kind hit each RPC."""
        return {method: dict(chaos.counts) for method, chaos in self._chaos.items()}


async def read_truth(daemon: FakeDaemon, restarts: list[Restart]) -> Truth:
    """Read what really happened, once nothing is in progress any more."""
    truth = Truth(restarts=restarts)
    last_restart = restarts[-1].killed if restarts else 0
    async with AgentsSandboxClient(daemon.socket_path) as client:
        for handle in await client.list_sandboxes(include_deleted=True):
            events = await _all_events(client, handle, last_restart)
            final = await client.get_sandbox(handle.sandbox_id)
            truth.histories[handle.sandbox_id] = History(final, events)
            for exec_id in {event.exec.exec_id: 0 for event in events if event.exec}:
                truth.execs[exec_id] = await client.get_exec(exec_id)
    truth.requests = Counter(call.method for call in daemon.calls)
    return truth


async def _all_events(
    client: AgentsSandboxClient, handle: SandboxHandle, last_restart: int
) -> list[SandboxEvent]:
    events: list[SandboxEvent] = []
    async with client.subscribe_sandbox_events(
        handle.sandbox_id, resume=False, timeout_seconds=STREAM_SECONDS
    ) as stream:
        async for event in stream:
            events.append(event)
            if event.sequence >= handle.last_event_sequence and is_at_rest(events, last_restart):
                break
    return events
