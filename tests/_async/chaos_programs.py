"""The programs of the chaos suite: lives of sandboxes, in all orders that can go wrong."""

from __future__ import annotations

from typing import Any

from agents_sandbox import SandboxHandle, SandboxState

from .._aio import Background
from .chaos import IMAGE, Life

_ENOUGH = 3


async def _create(life: Life, **more: Any) -> SandboxHandle | None:
    labels = {"call": life.token(), **more.pop("labels", {})}
    arguments = {"sandbox_id": life.new_id("sandbox"), "image": IMAGE, "labels": labels, **more}
    handle: SandboxHandle | None = await life.call("create_sandbox", **arguments)
    own_id = arguments["sandbox_id"]
    if handle is None and own_id is not None:
        # Only another read shows whether it exists.
        handle = await life.call("get_sandbox", sandbox_id=own_id)
    if handle is not None:
        life.follow(handle.sandbox_id)
    return handle


async def _ready(life: Life) -> str:
    """A sandbox for a program; READY, unless faults prevent that every time."""
    for _ in range(_ENOUGH):
        handle = await _create(life)
        if handle is not None and handle.state is SandboxState.READY:
            return handle.sandbox_id
    return await _accepted(life)


async def _accepted(life: Life) -> str:
    """A sandbox that is being created."""
    while True:
        handle = await _create(life, wait=False)
        if handle is not None:
            return handle.sandbox_id


def _exit(life: Life) -> tuple[str, ...]:
    seconds = life.dice.choice((0.0, 0.0, 0.005, 0.02))
    return ("exit", str(life.dice.choice((0, 0, 1, 3, 77))), str(seconds), life.token())


async def _run(life: Life, sandbox_id: str) -> None:
    more: dict[str, Any] = life.dice.choice(({}, {"on_stdout": str.strip, "on_stderr": str.strip}))
    await life.call(
        "run", sandbox_id=sandbox_id, command=_exit(life), exec_id=life.new_id("exec"), **more
    )


def _running(life: Life, sandbox_id: str, count: int) -> list[Background]:
    return [
        life.begin("run", sandbox_id=sandbox_id, command=_exit(life), exec_id=life.new_id("exec"))
        for _ in range(count)
    ]


async def _finish(calls: list[Background]) -> None:
    for call in calls:
        await call.result()


async def whole_life(life: Life) -> None:
    """Create, run, stop, resume, run, delete."""
    sandbox_id = await _ready(life)
    await _run(life, sandbox_id)
    await life.call("stop_sandbox", sandbox_id=sandbox_id)
    await life.disturb()
    await life.call("resume_sandbox", sandbox_id=sandbox_id)
    await _run(life, sandbox_id)
    await life.call("delete_sandbox", sandbox_id=sandbox_id)


async def many_runs(life: Life) -> None:
    """Several runs at the same time; in some lives the sandbox ends during them."""
    sandbox_id = await _ready(life)
    runs = _running(life, sandbox_id, life.dice.randint(2, 6))
    end = life.dice.choice(("stop_sandbox", "delete_sandbox", None))
    if end is not None:
        await life.call(end, sandbox_id=sandbox_id)
    await life.disturb()
    await _finish(runs)
    await life.call("delete_sandbox", sandbox_id=sandbox_id)


async def double_stop(life: Life) -> None:
    """Two callers stop at the same time, then one resumes."""
    sandbox_id = await _ready(life)
    await _finish([life.begin("stop_sandbox", sandbox_id=sandbox_id) for _ in range(2)])
    await life.disturb()
    await life.call("resume_sandbox", sandbox_id=sandbox_id)
    await life.call("stop_sandbox", sandbox_id=sandbox_id)
    await life.call("delete_sandbox", sandbox_id=sandbox_id)


async def delete_while_creating(life: Life) -> None:
    """A delete while the create is in progress in Docker: the sandbox reappears."""
    sandbox_id = await _accepted(life)
    for _ in range(life.dice.randint(0, 2)):
        await life.call("get_sandbox", sandbox_id=sandbox_id)
    deletes = [life.begin("delete_sandbox", sandbox_id=sandbox_id)]
    if life.dice.random() < 0.3:
        deletes.append(life.begin("delete_sandbox", sandbox_id=sandbox_id))
    await life.disturb()
    await _finish(deletes)
    await life.call("list_sandboxes", include_deleted=True)


async def create_is_deleted(life: Life) -> None:
    """One caller deletes the sandbox that another caller waits for."""
    labels = {"call": life.token()}
    own_id = f"sandbox-{life.token()}"
    create = life.begin("create_sandbox", sandbox_id=own_id, image=IMAGE, labels=labels)
    seen = None
    for _ in range(20):
        seen = seen or await life.call("get_sandbox", sandbox_id=own_id)
    if seen is not None:
        life.follow(own_id)
        await life.call("delete_sandbox", sandbox_id=own_id)
    await create.result()


async def delete_while_stopping(life: Life) -> None:
    """A stop that a delete interrupts, with a command that runs."""
    sandbox_id = await _ready(life)
    runs = _running(life, sandbox_id, life.dice.randint(0, 2))
    stop = life.begin(
        "stop_sandbox", sandbox_id=sandbox_id, wait=life.dice.choice((True, True, False))
    )
    for _ in range(life.dice.randint(0, 2)):
        await life.call("get_sandbox", sandbox_id=sandbox_id)
    await life.call("delete_sandbox", sandbox_id=sandbox_id)
    await stop.result()
    await _finish(runs)


async def delete_while_resuming(life: Life) -> None:
    """A resume that a delete interrupts."""
    sandbox_id = await _ready(life)
    await life.call("stop_sandbox", sandbox_id=sandbox_id)
    resume = life.begin("resume_sandbox", sandbox_id=sandbox_id)
    await life.disturb()
    await life.call("delete_sandbox", sandbox_id=sandbox_id)
    await resume.result()


async def cancels(life: Life) -> None:
    """Execs that one or two callers cancel, some after they have ended."""
    sandbox_id = await _ready(life)
    for _ in range(life.dice.randint(1, 3)):
        command = life.dice.choice((("hang", life.token()), _exit(life)))
        handle = await life.call(
            "create_exec", sandbox_id=sandbox_id, command=command, exec_id=life.new_id("exec")
        )
        if handle is not None:
            callers = life.dice.choice((1, 1, 2))
            asked = [life.begin("cancel_exec", exec_id=handle.exec_id) for _ in range(callers)]
            await life.disturb()
            await _finish(asked)
    await life.call("delete_sandbox", sandbox_id=sandbox_id)


async def by_label(life: Life) -> None:
    """Several sandboxes with one label, deleted together; some are still being created."""
    mine = {"group": "mine"}
    count = life.dice.randint(1, 3)
    waits = [life.dice.random() < 0.7 for _ in range(count)]
    await _finish([Background(_create, life, labels=mine, wait=wait) for wait in waits])
    other = await _create(life, labels={"group": "other"})
    await life.disturb()
    single = None
    if other is not None and life.dice.random() < 0.5:
        single = life.begin("delete_sandbox", sandbox_id=other.sandbox_id)
    await life.call("delete_sandboxes", label_selector=mine)
    await life.call("list_sandboxes", label_selector={}, include_deleted=False)
    if single is not None:
        await single.result()


async def one_id_twice(life: Life) -> None:
    """Two callers request the same id: one gets it."""
    own_id = f"sandbox-{life.token()}"
    creates = [
        life.begin("create_sandbox", sandbox_id=own_id, image=IMAGE, labels={"call": life.token()})
        for _ in range(2)
    ]
    await _finish(creates)
    if await life.call("get_sandbox", sandbox_id=own_id) is None:
        return
    life.follow(own_id)
    exec_id = f"exec-{life.token()}"
    await _finish(
        [
            life.begin("run", sandbox_id=own_id, command=_exit(life), exec_id=exec_id)
            for _ in range(2)
        ]
    )
    await life.call("delete_sandbox", sandbox_id=own_id)


def _new(life: Life) -> dict[str, Any]:
    own_id, labels = life.new_id("sandbox"), {"call": life.token()}
    return {"sandbox_id": own_id, "image": IMAGE, "labels": labels}


async def blocks(life: Life) -> None:
    """Blocks with a sandbox each, one after the other or at the same time."""

    async def body(sandbox_id: str) -> None:
        life.follow(sandbox_id)
        await _run(life, sandbox_id)
        end = life.dice.choice((None, None, "stop_sandbox", "delete_sandbox"))
        if end is not None:
            await life.call(end, sandbox_id=sandbox_id, wait=life.dice.choice((True, False)))

    going = []
    for _ in range(life.dice.randint(1, 4)):
        going.append(Background(life.block, body, **_new(life)))
        if life.dice.random() < 0.5:
            await _finish(going)
            going.clear()
        await life.disturb()
    await _finish(going)


async def scopes(life: Life) -> None:
    """A scope that ends while some of its sandboxes are being created or used."""

    async def body(sandbox_id: str) -> None:
        life.follow(sandbox_id)
        await _run(life, sandbox_id)

    await life.scope(body, *(_new(life) for _ in range(life.dice.randint(1, 5))))


async def anything(life: Life) -> None:
    """Any calls in any order, some of them at the same time."""
    sandbox_id = await _ready(life)
    going: list[Background] = []
    for _ in range(life.dice.randint(3, 9)):
        method = life.dice.choice(_ANYTHING)
        arguments: dict[str, Any] = {"sandbox_id": sandbox_id}
        if method == "run":
            arguments |= {"command": _exit(life), "exec_id": life.new_id("exec")}
        going.append(life.begin(method, **arguments))
        if life.dice.random() < 0.6:
            await _finish(going)
            going.clear()
        if life.dice.random() < 0.3:
            await life.disturb()
    await _finish(going)
    if life.dice.random() < 0.8:
        await life.call("delete_sandbox", sandbox_id=sandbox_id)


_ANYTHING = ("run", "run", "stop_sandbox", "resume_sandbox", "get_sandbox", "delete_sandbox")

PROGRAMS = {
    program.__name__: program
    for program in (
        whole_life,
        many_runs,
        double_stop,
        delete_while_creating,
        create_is_deleted,
        delete_while_stopping,
        delete_while_resuming,
        cancels,
        by_label,
        one_id_twice,
        blocks,
        scopes,
        anything,
    )
}
