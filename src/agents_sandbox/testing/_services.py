"""Service containers: what a create may ask for and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator

from ._errors import invalid_argument
from ._spec import SideContainer, Spec

_COMMANDS = ("CMD", "CMD-SHELL")


def validate_services(spec: Spec) -> None:
    """Check the services in the daemon's order; the first fault wins.

    Raises:
        StatusError: A service is refused.
    """
    names: set[str] = set()
    for required, service in _services(spec):
        if not service.name:
            raise invalid_argument("service name is required")
        if not service.image:
            raise invalid_argument(f'service "{service.name}" image is required')
        if service.name in names:
            raise invalid_argument(f'duplicate service name "{service.name}"')
        names.add(service.name)
        _validate_healthcheck(service, required=required)


def _services(spec: Spec) -> Iterator[tuple[bool, SideContainer]]:
    for service in spec.required_services:
        yield True, service
    for service in spec.optional_services:
        yield False, service


def _validate_healthcheck(service: SideContainer, *, required: bool) -> None:
    name = service.name
    if service.healthcheck is None:
        if required:
            raise invalid_argument(f'required service "{name}" must define healthcheck')
        if service.post_start_on_primary:
            raise invalid_argument(
                f'optional service "{name}" with post_start_on_primary must define healthcheck'
            )
        return
    where = f'service "{name}" healthcheck.test'
    test = service.healthcheck.test
    if not test:
        raise invalid_argument(f"{where} must not be empty")
    if test[0] not in (*_COMMANDS, *(() if required else ("NONE",))):
        raise invalid_argument(f'{where}[0] "{test[0]}" is invalid')
    if test[0] == "NONE" and len(test) > 1:
        raise invalid_argument(f"{where} must not include extra args when NONE is used")
    if test[0] in _COMMANDS and len(test) == 1:
        raise invalid_argument(f"{where} for {test[0]} must include a command")
