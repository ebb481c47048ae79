"""All execs of the daemon: their ids, processes and outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..._shared.helpers import killed_exec
from ..._wire import v02_pb2 as pb
from .._commands.command import KILLED, Command, CommandError, Process, Runner, relative_cwd
from .._commands.copy_plan import PlannedCopy
from .._commands.logs import log_paths, make_log_folder, remove_log
from .._host.containers import DockerError, no_such_container
from .._protocol.refusals import (
    exec_already_terminal,
    exec_id_already_exists,
    exec_not_found,
    exec_output_failed,
    invalid_argument,
    sandbox_not_ready,
)
from .._time.background import Background
from .exec import CANCELLED, INTERRUPTED, Exec, Outcome, exited, failed
from .ids import IdRegistry
from .sandbox import Sandbox


class Execs:
    """All execs of the daemon, and the hooks of services.

    Args:
        background: Runs their tasks.
        runner: Makes their processes.
        log_root: The folder of their logs.
    """

    def __init__(self, background: Background, runner: Runner, log_root: Path) -> None:
        self._background = background
        self._runner = runner
        self._log_root = log_root
        self.ids = IdRegistry("exec_id", exec_id_already_exists)
        self._execs: dict[str, Exec] = {}
        # By sandbox, and running ones only: the records above are kept much longer.
        self._active: dict[str, dict[str, Exec]] = {}
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}
        # Those that no process of the host runs, with their tasks.
        self._scripted: dict[str, tuple[Exec, asyncio.Task[None]]] = {}

    def __iter__(self) -> Iterator[Exec]:
        return iter(self._execs.values())

    async def prepare(self, sandbox: Sandbox, copies: Sequence[PlannedCopy] = ()) -> None:
        """Prepare the files of a sandbox whose container was created.

        Args:
            sandbox: The sandbox.
            copies: What its copies bring, in order.

        Raises:
            CannotPrepareError: The preparation failed.
        """
        await self._runner.prepare(sandbox.id, sandbox.spec, copies)

    async def resume(self, sandbox: Sandbox) -> None:
        """Let a sandbox whose container was stopped run commands again.

        Raises:
            CannotPrepareError: It failed.
        """
        await self._runner.resume(sandbox.id, sandbox.spec)

    def check(self, sandbox: Sandbox, request: pb.CreateExecRequest) -> str:
        """Check whether an exec can be accepted; return its id.

        Raises:
            StatusError: It cannot.
        """
        if sandbox.state != pb.SANDBOX_STATE_READY:
            raise sandbox_not_ready(sandbox.id)
        if not request.command:
            raise invalid_argument("command must not be empty")
        return self.ids.check(request.exec_id)

    def create(self, sandbox: Sandbox, request: pb.CreateExecRequest) -> Exec:
        """Accept an exec and start it."""
        exec_id = self.check(sandbox, request)
        item = Exec(sandbox, self._command(sandbox, exec_id, request))
        process = self._runner.process_for(item.command)
        self.ids.take(exec_id)
        self._execs[exec_id] = item
        self._active.setdefault(sandbox.id, {})[exec_id] = item
        item.record_start()
        task = self._spawn(sandbox, self._run(item, process))
        if not process.on_host:
            self._scripted[exec_id] = item, task
            task.add_done_callback(lambda _: self._scripted.pop(exec_id, None))
        return item

    def _command(self, sandbox: Sandbox, exec_id: str, request: pb.CreateExecRequest) -> Command:
        stdout_path, stderr_path = log_paths(self._log_root, sandbox.id, exec_id)
        try:
            make_log_folder(stdout_path.parent)
        except OSError as error:
            raise exec_output_failed(str(error)) from error
        return Command(
            sandbox.id,
            sandbox.spec,
            tuple(request.command),
            cwd=request.cwd,
            env=dict(request.env_overrides),
            stdout_path=stdout_path,
            stderr_path=stderr_path,
            exec_id=exec_id,
            kills=self._kill_of(sandbox, killed_exec(request.command)),
        )

    def _kill_of(self, sandbox: Sandbox, exec_id: str | None) -> Callable[[], bool] | None:
        """Return what kills a scripted exec of a sandbox, because no process can."""
        found = self._scripted.get(exec_id or "")
        if found is None or found[0].sandbox is not sandbox:
            return None
        return partial(self._kill, *found)

    def _kill(self, item: Exec, task: asyncio.Task[None]) -> bool:
        if item.running:  # otherwise it was cancelled, and its script goes on
            self._end(item, exited(KILLED))
        return task.cancel()

    def _spawn(self, sandbox: Sandbox, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._background.spawn(work)
        tasks = self._tasks.setdefault(sandbox.id, set())
        tasks.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not tasks:
                del self._tasks[sandbox.id]

        task.add_done_callback(ended)
        return task

    async def _run(self, item: Exec, process: Process) -> None:
        await self._background.pass_gate()
        if not item.running:
            return
        if item.sandbox.state in (pb.SANDBOX_STATE_DELETING, pb.SANDBOX_STATE_DELETED):
            # Its container is removed while it starts; the real daemon's text is not recorded.
            self._end(item, failed(no_such_container(item.sandbox.primary.name)))
            return
        outcome = await self._outcome(item, process)
        await self._background.pass_gate()
        if item.running:
            self._end(item, outcome)

    async def _outcome(self, item: Exec, process: Process) -> Outcome:
        command = item.command
        try:
            item.sandbox.primary.ensure_running()
            if command.cwd and not command.cwd.startswith("/"):
                raise relative_cwd()
            return exited(await _exit_code(command, process))
        except (CommandError, DockerError, OSError) as error:
            return failed(str(error))

    def _end(self, item: Exec, outcome: Outcome) -> None:
        sandbox_id = item.sandbox.id
        active = self._active[sandbox_id]
        del active[item.id]
        if not active:
            del self._active[sandbox_id]
        item.end(outcome)

    async def run_hook(self, sandbox: Sandbox, script: str, envs: Mapping[str, str]) -> int:
        """Run a hook in the primary container and return its exit code, without its output.

        Args:
            sandbox: The sandbox.
            script: The script for `sh -lc`.
            envs: The service's environment, added to the container's.

        Raises:
            CommandError: The hook has no exit code.
            DockerError: The container cannot run commands now.
            OSError: The hook cannot be started.
        """
        sandbox.primary.ensure_running()
        command = Command(sandbox.id, sandbox.spec, ("sh", "-lc", script), env=envs)
        process = self._runner.process_for(command)
        exit_code, failure = KILLED, None

        async def run() -> None:
            nonlocal exit_code, failure
            try:
                exit_code = await _exit_code(command, process)
            except (CommandError, OSError) as error:
                failure = error

        await asyncio.wait([self._spawn(sandbox, run())])
        if failure:
            raise failure
        return exit_code

    def get(self, exec_id: str) -> Exec:
        """Look up an exec, ended or not."""
        if exec_id not in self._execs:
            raise exec_not_found(exec_id)
        return self._execs[exec_id]

    def cancel(self, exec_id: str) -> None:
        """Cancel a running exec; a process that has started continues."""
        item = self.get(exec_id)
        if not item.running:
            raise exec_already_terminal(exec_id)
        self._end(item, CANCELLED)

    def active(self, sandbox_id: str | None) -> list[Exec]:
        """Return the running execs, sorted by id, of one sandbox; None: of all sandboxes."""
        groups = self._active.values() if sandbox_id is None else [self._active.get(sandbox_id, {})]
        return sorted((item for group in groups for item in group.values()), key=lambda i: i.id)

    def is_busy(self, sandbox: Sandbox) -> bool:
        """Whether an exec of the sandbox is running."""
        return sandbox.id in self._active

    def snapshot(self, sandbox: Sandbox) -> list[pb.SandboxEvent]:
        """Return the newest event, then one event for each running exec, oldest first."""
        now = self._background.clock.now
        running = self._active.get(sandbox.id, {}).values()
        return [sandbox.log.events[-1], *(item.snapshot(now()) for item in running)]

    def interrupt(self, sandbox: Sandbox) -> None:
        """Record that a restart interrupted the running execs; their processes may continue."""
        for item in tuple(self._active.get(sandbox.id, {}).values()):
            self._end(item, INTERRUPTED)

    def kill_all(self, sandbox: Sandbox, outcome: Outcome | None = None) -> list[Exec]:
        """Kill everything that runs in a sandbox, because its primary container stops.

        Args:
            sandbox: The sandbox.
            outcome: How its execs end; None: as killed processes do.

        Returns:
            The execs that were running.
        """
        killed = list(self._active.get(sandbox.id, {}).values())
        for item in killed:
            self._end(item, outcome or exited(KILLED))
        for task in self._tasks.get(sandbox.id, ()):
            task.cancel()
        self.kill_processes(sandbox)
        return killed

    def kill_processes(self, sandbox: Sandbox) -> None:
        """Kill the processes of a sandbox without the daemon's knowledge."""
        self._runner.kill(sandbox.id)

    async def remove_files(self, sandbox: Sandbox, killed: Iterable[Exec] = ()) -> None:
        """Remove the files of a sandbox, and the logs of the execs that its delete killed."""
        await self._runner.remove(sandbox.id)
        await asyncio.sleep(0)  # a turn of the loop, not time: scripts see that they have ended
        for item in killed:
            for path in (item.command.stdout_path, item.command.stderr_path):
                with suppress(OSError):  # never made, or removed
                    remove_log(path)

    def forget(self, sandboxes: Iterable[Sandbox]) -> None:
        """Drop the records of purged sandboxes; the exec ids stay taken."""
        purged = {sandbox.id for sandbox in sandboxes}
        kept = ((key, item) for key, item in self._execs.items() if item.sandbox.id not in purged)
        self._execs = dict(kept)


async def _exit_code(command: Command, process: Process) -> int:
    # The system refuses to start it, which Docker reports as the exit code 1.
    return 1 if command.too_long else await process.run()
