"""Checks of services and companions."""

from __future__ import annotations

from .._protocol.refusals import invalid_argument
from .._protocol.spec import SideContainer, Spec
from .limits import check_command
from .strconv import quoted

_COMMANDS = ("CMD", "CMD-SHELL")


def check_side_containers(spec: Spec) -> None:
    """Check services and companions in the daemon's order.

    Raises:
        StatusError: A service or companion is refused.
    """
    names: set[str] = set()
    for containers, noun, kind in (
        (spec.required_services, "service", "required service"),
        (spec.optional_services, "service", "optional service"),
        (spec.companion_containers, "companion container", "companion container"),
    ):
        for container in containers:
            _check_identity(container, noun, names)
            _check_healthcheck(container, noun, kind)
            check_command(f"companion_containers[{container.name}].command", container.command)


def _check_identity(container: SideContainer, noun: str, names: set[str]) -> None:
    name = container.name
    if not name:
        raise invalid_argument(f"{noun} name is required")
    if not container.image:
        raise invalid_argument(f"{noun} {quoted(name)} image is required")
    if name in names:
        raise invalid_argument(f"duplicate {noun} name {quoted(name)}")
    names.add(name)


def _check_healthcheck(container: SideContainer, noun: str, kind: str) -> None:
    name = quoted(container.name)
    required = kind == "required service"
    if container.healthcheck is not None:
        where = f"{noun} {name} healthcheck.test"
        _check_test(list(container.healthcheck.test), where, may_be_none=not required)
    elif required:
        raise invalid_argument(f"{kind} {name} must define healthcheck")
    elif container.post_start_on_primary:
        raise invalid_argument(f"{kind} {name} with post_start_on_primary must define healthcheck")


def _check_test(test: list[str], where: str, *, may_be_none: bool) -> None:
    if not test:
        raise invalid_argument(f"{where} must not be empty")
    method, *arguments = test
    if method not in _COMMANDS and not (may_be_none and method == "NONE"):
        raise invalid_argument(f"{where}[0] {quoted(method)} is invalid")
    if method == "NONE" and arguments:
        raise invalid_argument(f"{where} must not include extra args when NONE is used")
    if method in _COMMANDS and not arguments:
        raise invalid_argument(f"{where} for {method} must include a command")
