"""Random faults, the same ones for the same seed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from weakref import WeakKeyDictionary

from ..._shared.shown import shown
from ..._wire import v02_pb2 as pb
from .._time.clock import Sleep
from .kinds import BURNERS, Answer, Call, Fault, MakeFailure, Proceed, Send, end_at_deadline

# How many of the streams that a daemon ends at their deadline end cleanly. Recorded: 63 of 94.
_CLEAN = 0.67


class Chaos(Fault):
    """Random faults that are active until their `with` block ends.

    Args:
        seed: The seed of the random generators.
        odds: The probability of each kind of fault, from 0 to 1.
        max_delay: The longest delay of an answer, in seconds.
        restart: Restarts the daemon; called in another thread.
        method: The RPC to act on; None: all.
        failure: Makes the error of a lost call or stream.
        cancelled: Makes the error of a call whose deadline has passed.
        burn_id: Reserves the id of a create; returns whether it could.
        sleep: Sleeps on the daemon's clock.

    Raises:
        ValueError: There is no such RPC, or an argument is out of range.
    """

    def __init__(
        self,
        seed: int | str,
        *,
        odds: Mapping[str, float],
        max_delay: float,
        restart: Callable[[], object],
        method: str | None,
        failure: MakeFailure,
        cancelled: MakeFailure,
        burn_id: Callable[[Call], bool],
        sleep: Sleep,
    ) -> None:
        super().__init__(method)
        for kind, probability in odds.items():
            if not 0 <= probability <= 1:  # refuses NaN too
                raise ValueError(
                    f"{kind} must be a probability from 0 to 1, not {shown(probability)}"
                )
        if not max_delay >= 0:
            raise ValueError(f"the longest delay must be 0 or more, not {shown(max_delay)}")
        self._seed = seed
        self._odds = odds
        self._max_delay = max_delay
        self._failure = failure
        self._cancelled = cancelled
        self._burn_id = burn_id
        self._sleep = sleep
        self._restarts = Restarts(restart)
        self._calls: Counter[str] = Counter()
        self._generators: WeakKeyDictionary[Call, Random] = WeakKeyDictionary()
        self._counts: Counter[str] = Counter(dict.fromkeys(odds, 0))

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each kind of fault has been injected."""
        return dict(self._counts)

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Inject random faults into a call."""
        if self._method not in (None, call.method):
            return await proceed()
        self._calls[call.method] += 1
        # Each call has its own generator, so that concurrent calls cannot change its faults.
        rng = Random(f"{self._seed}/{call.method}/{self._calls[call.method]}")  # noqa: S311 - repeatable, not secret
        self._generators[call] = rng
        if self._roll("restart", rng):
            self._restarts.begin()
            raise self._failure()
        if self._roll("unavailable", rng):
            raise self._failure()
        # No draw for these without a probability: older seeds keep their faults.
        burns = call.method in BURNERS and self._odds["burn"]
        if burns and rng.random() < self._odds["burn"] and self._burn_id(call):
            self._count("burn", hit=True)
            raise self._failure()
        has_deadline = self._odds["deadline"] and call.time_remaining is not None
        if has_deadline and self._roll("deadline", rng):
            clean = call.streams and rng.random() < _CLEAN
            proceed = functools.partial(
                end_at_deadline, call, proceed, None if clean else self._cancelled
            )
        if self._roll("delay", rng):
            seconds = rng.uniform(0, self._max_delay)
            answer = await self._answer_late(call, proceed, lambda: self._sleep(seconds))
        else:
            answer = await proceed()
        if not call.streams and self._roll("lose_answer", rng):
            raise self._failure()
        return answer

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Inject random faults into an event, with the generator of its stream."""
        rng = self._generators.get(call)
        if rng is None:
            await send(event)
            return
        if not self._roll("skip", rng):
            await send(event)
            if self._roll("duplicate", rng):
                await send(event)
        if self._roll("drop", rng):
            raise self._failure()

    def finish(self) -> None:
        """Wait for restarts in progress, and raise what a restart raised."""
        self._restarts.finish()

    def _roll(self, kind: str, rng: Random) -> bool:
        hit = rng.random() < self._odds[kind]
        self._count(kind, hit=hit)
        return hit

    def _count(self, kind: str, *, hit: bool) -> None:
        self._counts[kind] += hit
        self._hits += hit


class Restarts:
    """Restarts the daemon in a separate thread, because the daemon's own thread ends with it."""

    def __init__(self, restart: Callable[[], object]) -> None:
        self._restart = restart
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="fake-agboxd-restart")
        self._begun: list[Future[object]] = []

    def begin(self) -> None:
        """Start a restart."""
        self._begun.append(self._executor.submit(self._restart))

    def finish(self) -> None:
        """Wait for all restarts, and raise what the first failed one raised."""
        self._executor.shutdown()
        for restart in self._begun:
            restart.result()
