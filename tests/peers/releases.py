"""What differs between the published clients: the side containers and related features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .peer import sdk


@dataclass(frozen=True)
class Release:
    """One release of daemon and client."""

    version: str
    extras: Mapping[str, Any]
    """Arguments of `create_sandbox` that not all releases share."""
    echoed: tuple[str, ...]
    """Those of the arguments that a handle returns."""
    side_type: Any
    """The class of side containers."""
    side_ready: str
    """The event type of a side container that is ready."""
    side_details: str
    """The attribute of that event with its details."""
    side_name: str
    """The attribute of those details with the container's name."""
    side_yaml: str
    """The key of side containers in `config_yaml`; also the argument to override them."""
    yaml_lists_append: bool
    """Whether list arguments extend those of `config_yaml`; otherwise they replace them."""
    stop_events: tuple[str, ...]
    """The event types of a stop."""
    refused: tuple[tuple[Mapping[str, Any], str], ...]
    """Invalid arguments of `create_sandbox`, each with the daemon's message."""

    def side_containers(self) -> list[str]:
        """The names of all side containers of `extras`."""
        return [side.name for argument in self.echoed for side in self.extras[argument]]

    def side_container(self, name: str) -> Any:
        """A plain side container, without a health check."""
        return self.side_type(name=name, image=f"example.test/{name}:1")


def _database() -> dict[str, Any]:
    return {
        "name": "db",
        "image": "example.test/db:1",
        "envs": {"DB_USER": "peer"},
        "healthcheck": sdk.HealthcheckConfig(
            test=("CMD", "db-ready"),
            interval=timedelta(milliseconds=500),
            timeout=timedelta(seconds=2),
            retries=3,
            start_period=timedelta(seconds=1),
        ),
        "post_start_on_primary": ("true",),
    }


def _release_0_2() -> Release:
    cache = sdk.ServiceSpec(name="cache", image="example.test/cache:1")
    return Release(
        version="0.2.1",
        extras={
            "required_services": (sdk.ServiceSpec(**_database()),),
            "optional_services": (cache,),
        },
        echoed=("required_services", "optional_services"),
        side_type=sdk.ServiceSpec,
        side_ready="SANDBOX_SERVICE_READY",
        side_details="service",
        side_name="service_name",
        side_yaml="optional_services",
        yaml_lists_append=False,
        stop_events=("SANDBOX_STOP_REQUESTED", "SANDBOX_FAILED", "SANDBOX_STOPPED"),
        refused=(
            ({"required_services": (cache,)}, 'service "cache" must define healthcheck'),
            ({"optional_services": (cache, cache)}, 'duplicate service name "cache"'),
        ),
    )


def _release_0_4() -> Release:
    database = sdk.CompanionContainerSpec(
        **_database(), command=("db", "--quiet"), cpu_limit="0.5", memory_limit="64m"
    )
    cache = sdk.CompanionContainerSpec(name="cache", image="example.test/cache:1")
    return Release(
        version="0.4.3",
        extras={
            "companion_containers": (database, cache),
            "ports": (sdk.PortMapping(8080, 18080), sdk.PortMapping(5353, 15353, "udp")),
            "command": ("sleep", "infinity"),
            "cpu_limit": "2",
            "memory_limit": "512m",
        },
        echoed=("companion_containers",),
        side_type=sdk.CompanionContainerSpec,
        side_ready="COMPANION_CONTAINER_READY",
        side_details="companion_container",
        side_name="name",
        side_yaml="companion_containers",
        yaml_lists_append=True,
        stop_events=("SANDBOX_STOP_REQUESTED", "SANDBOX_STOPPED"),
        refused=(
            (
                {"companion_containers": (cache, cache)},
                'duplicate companion container name "cache"',
            ),
            ({"ports": (sdk.PortMapping(80, 0),)}, "port host_port must be between 1 and 65535"),
            ({"cpu_limit": "0"}, 'cpu_limit "0": must be > 0'),
            ({"memory_limit": "much"}, "memory_limit: memory_limit \"much\": invalid size: 'much'"),
            ({"gpus": "one"}, 'gpus: unsupported value "one"'),
        ),
    )


RELEASES = {"0.2.1": _release_0_2, "0.4.3": _release_0_4}
