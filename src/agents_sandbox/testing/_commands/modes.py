"""The ways to run commands that no script of a test is for."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ..._shared.shown import shown
from .._host.declared import Host
from .._time.clock import Clock
from .command import Runner
from .isolation.probe import obstacle_to_isolation
from .isolation.runner import IsolatedRunner
from .passthrough import PassThroughRunner

ExecMode: TypeAlias = Literal["scripted", "passthrough", "isolated", "auto"]
PossibleMode: TypeAlias = Literal["scripted", "passthrough", "isolated"]
EXEC_MODES: tuple[ExecMode, ...] = get_args(ExecMode)


def possible_mode(mode: ExecMode) -> PossibleMode:
    """Return the mode itself, or for `auto` the best one that is possible here.

    Raises:
        ValueError: There is no such mode.
        RuntimeError: Commands cannot be isolated here.
    """
    if mode not in EXEC_MODES:
        *others, last = map(repr, EXEC_MODES)
        raise ValueError(f"exec_mode must be {', '.join(others)} or {last}: {shown(mode)}")
    if mode in ("isolated", "auto") and (obstacle := obstacle_to_isolation()):
        if mode == "isolated":
            raise RuntimeError(f"exec_mode='isolated': {obstacle}")
        _warn(obstacle)
        return "passthrough"
    return "isolated" if mode == "auto" else mode


@cache
def _warn(obstacle: str) -> None:
    warnings.warn(
        "exec_mode='auto': commands run on this host unprotected, as with 'passthrough'. "
        f"They cannot be isolated: {obstacle}",
        stacklevel=4,
    )


def make_real_runner(
    mode: Literal["passthrough", "isolated"], root: Path, clock: Clock, host: Host, log_root: Path
) -> Runner:
    """Make the runner of a mode in which commands really run.

    Args:
        mode: The mode; it must be possible here.
        root: A folder for the files of all sandboxes.
        clock: The daemon's clock.
        host: Declares the folders of images, and those that count as existing on the host.
        log_root: The folder of all logs.
    """
    if mode == "passthrough":
        return PassThroughRunner(root, clock, host.paths)
    return IsolatedRunner(root, clock, log_root, host.paths, host.image_folders)
