"""Faults by dice, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from weakref import WeakKeyDictionary

from ..._wire import v02_pb2 as pb
from .._time.clock import Sleep
from .rules import Answer, Call, Fault, MakeFailure, Proceed, Send


class Chaos(Fault):
    """Random faults that are on until their `with` block ends.

    Args:
        seed: What the dice are made of.
        odds: How likely each kind of fault is, 0 to 1.
        max_delay: Seconds that an answer is held back at most.
        restart: Restarts the daemon; called in a thread of its own.
        method: The RPC to act on; None is all.
        failure: Makes the failure of what is lost.
        sleep: Waits on the daemon's clock.

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
        sleep: Sleep,
    ) -> None:
        super().__init__(method)
        for kind, probability in odds.items():
            if not 0 <= probability <= 1:  # so put for NaN
                raise ValueError(f"{kind} must be a probability, 0 to 1: {probability!r}")
        if not max_delay >= 0:
            raise ValueError(f"the delay must not be negative: {max_delay!r}")
        self._seed = seed
        self._odds = odds
        self._max_delay = max_delay
        self._failure = failure
        self._sleep = sleep
        self._restarts = Restarts(restart)
        self._calls: Counter[str] = Counter()
        self._dice: WeakKeyDictionary[Call, Random] = WeakKeyDictionary()
        self._counts: Counter[str] = Counter(dict.fromkeys(odds, 0))

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each kind of fault was injected so far."""
        return dict(self._counts)

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Throw the dice of the call."""
        if self._method not in (None, call.method):
            return await proceed()
        self._calls[call.method] += 1
        # The call's own dice, so that what else goes on at the same time changes nothing.
        dice = Random(f"{self._seed}/{call.method}/{self._calls[call.method]}")  # noqa: S311 - repeatable, not secret
        self._dice[call] = dice
        if self._hit("restart", dice):
            self._restarts.begin()
            raise self._failure()
        if self._hit("unavailable", dice):
            raise self._failure()
        if self._hit("delay", dice):
            seconds = dice.uniform(0, self._max_delay)
            answer = await self._answer_late(call, proceed, lambda: self._sleep(seconds))
        else:
            answer = await proceed()
        if not call.streams and self._hit("lose_answer", dice):
            raise self._failure()
        return answer

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Throw the dice of the event, those of its stream."""
        dice = self._dice.get(call)
        if dice is None:
            await send(event)
            return
        if not self._hit("skip", dice):
            await send(event)
            if self._hit("duplicate", dice):
                await send(event)
        if self._hit("drop", dice):
            raise self._failure()

    def finish(self) -> None:
        """Wait for a restart that is going on; what it raised is raised here."""
        self._restarts.finish()

    def _hit(self, kind: str, dice: Random) -> bool:
        hit = dice.random() < self._odds[kind]
        self._counts[kind] += hit
        self._hits += hit
        return hit


class Restarts:
    """Restarts the daemon from outside of its own thread, which ends with it."""

    def __init__(self, restart: Callable[[], object]) -> None:
        self._restart = restart
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="fake-agboxd-restart")
        self._begun: list[Future[object]] = []

    def begin(self) -> None:
        """Set a restart going."""
        self._begun.append(self._executor.submit(self._restart))

    def finish(self) -> None:
        """Wait for all restarts; what the first that failed has raised is raised here."""
        self._executor.shutdown()
        for restart in self._begun:
            restart.result()
