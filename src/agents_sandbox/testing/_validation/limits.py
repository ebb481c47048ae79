"""Checks of commands and limits, for the primary container and for companions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from .._protocol.refusals import invalid_argument
from .._protocol.spec import SideContainer, Spec
from .sizes import ram_in_bytes
from .strconv import parse_float, quoted

_MILLICORE = 0.001


def check_command(where: str, command: Iterable[str]) -> None:
    """Check each part of a command; `where` names the command in messages.

    Raises:
        StatusError: A part is empty.
    """
    fault = command_fault(where, command)
    if fault:
        raise invalid_argument(fault)


def command_fault(where: str, command: Iterable[str]) -> str:
    """Return what is wrong with a command; empty: nothing."""
    faults = (
        f"{where}[{index}]: empty string entry is not allowed"
        for index, part in enumerate(command)
        if not part
    )
    return next(faults, "")


def check_limits(spec: Spec) -> None:
    """Check the limits of the primary container, then of each companion.

    Raises:
        StatusError: A limit is refused.
    """
    _check_limits("", spec)
    for companion in spec.companion_containers:
        _check_limits(f"companion_containers[{companion.name}].", companion)


def _check_limits(prefix: str, container: Spec | SideContainer) -> None:
    # The real daemon repeats the prefix for sizes, but not for the number of cores.
    for field, shown, check in (
        ("cpu_limit", "cpu_limit", _check_cores),
        ("memory_limit", f"{prefix}memory_limit", _check_size),
        ("disk_limit", f"{prefix}disk_limit", _check_size),
    ):
        _check_limit(f"{prefix}{field}: {shown}", getattr(container, field), check)


def _check_limit(where: str, limit: str, check: Callable[[str], None]) -> None:
    if not limit:
        return
    try:
        check(limit)
    except ValueError as error:
        raise invalid_argument(f"{where} {quoted(limit)}: {error}") from error


def _check_cores(limit: str) -> None:
    cores = parse_float(limit)
    if not math.isfinite(cores):
        raise ValueError("must be a finite number")
    if cores <= 0:
        raise ValueError("must be > 0")
    if cores < _MILLICORE:
        raise ValueError("must resolve to at least 1 millicore (0.001)")


def _check_size(limit: str) -> None:
    if ram_in_bytes(limit) <= 0:
        raise ValueError("must be > 0")
