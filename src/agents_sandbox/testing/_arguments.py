"""The command line of `python -m agents_sandbox.testing`: its options and what they mean."""

from __future__ import annotations

import argparse
import math
import re
import shlex
from dataclasses import dataclass
from typing import Any, NoReturn

from .._facts import MAX_PORT
from .._go_durations import parse_nanoseconds
from ._commands.handlers import checked_exit_code
from ._faults.rules import check_method
from ._host.declared import ContainerBehavior, DockerHost
from ._protocol.profile import PROFILES
from ._settings import CLEANUP_TTL

_CONTAINERS = "healthy, unhealthy, slow:TIME, crashing[:TIME], error:MESSAGE"
FAULTS = ("unavailable", "lose-answer", "delay", "drop", "duplicate", "skip")
_EPILOG = """\
TIME is a number of seconds, or a Go duration such as 500ms or 1m30s.

--container NAME=KIND says what the containers of a service or companion
do, those of an image, or the primary container of the sandbox with that id:
  healthy         runs, and its health check passes; so do all that are not named
  unhealthy       runs, and its health check never passes
  slow:TIME       its health check passes after that time
  crashing:TIME   exits by itself after that time; at once without it
  error:MESSAGE   cannot be created, for Docker says so

--fault KIND=PROBABILITY lets calls go wrong at random:
  unavailable=P   a call fails UNAVAILABLE and does nothing
  lose-answer=P   a call is done, and fails UNAVAILABLE
  delay=P:TIME    an answer is held back for that time at most
  drop=P          an event is the last of its stream
  duplicate=P     an event is sent twice
  skip=P          an event is never sent
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage of that many options would bury it."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


@dataclass(frozen=True)
class Script:
    """What a command does that is not run."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str


class AppendScript(argparse.Action):
    """Reads the three words of `--on-exec`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: Any,  # three words, by `nargs`
        option_string: str | None = None,  # noqa: ARG002 - argparse's signature
    ) -> None:
        """Add one script to those that came before."""
        command, code, stdout = values
        try:
            argv = tuple(shlex.split(command))
        except ValueError as error:
            raise argparse.ArgumentError(self, f"command {command!r}: {error}") from error
        if not argv:
            raise argparse.ArgumentError(self, "the command must not be empty")
        try:
            exit_code = checked_exit_code(int(code))
        except ValueError as error:
            raise argparse.ArgumentError(self, f"no exit code, 0 to 255: {code!r}") from error
        scripts = [*getattr(namespace, self.dest), Script(argv, exit_code, stdout)]
        setattr(namespace, self.dest, scripts)


def make_parser() -> Parser:
    """Make the parser of the command line."""
    parser = Parser(
        prog="python -m agents_sandbox.testing",
        usage="%(prog)s --socket PATH [OPTION ...]",
        description="A fake agents-sandbox daemon on a Unix socket. It prints one line when it is "
        "ready, and serves until SIGINT or SIGTERM.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_daemon(parser.add_argument_group("daemon"))
    _add_commands(parser.add_argument_group("commands"))
    _add_times(parser.add_argument_group("times"))
    _add_host(parser.add_argument_group("host"))
    _add_trouble(parser.add_argument_group("trouble"))
    return parser


# argparse has no public name for the type of a group.


def _add_daemon(group: Any) -> None:
    group.add_argument("--socket", required=True, metavar="PATH", help="where to listen")
    group.add_argument(
        "--daemon-version",
        default="0.2.1",
        metavar="VERSION",
        help=f"the release to stand for: {', '.join(PROFILES)} (default: %(default)s)",
    )
    group.add_argument(
        "--reported-version",
        metavar="TEXT",
        help="the version that Ping tells (default: the release)",
    )


def _add_commands(group: Any) -> None:
    group.add_argument(
        "--exec",
        choices=("scripted", "passthrough"),
        default="scripted",
        help="what commands do that no --on-exec names: nothing, or they really run on this host, "
        "unprotected (default: %(default)s)",
    )
    group.add_argument(
        "--on-exec",
        action=AppendScript,
        nargs=3,
        default=[],
        metavar=("COMMAND", "CODE", "STDOUT"),
        help="a command that is not run but writes this and exits with this code; the last one "
        "that matches counts; can be repeated",
    )
    group.add_argument(
        "--exec-log-root",
        metavar="DIR",
        help="where exec logs go and stay (default: a private folder, removed in the end)",
    )


def _add_times(group: Any) -> None:
    for option, default, what in (
        ("--ready-delay", "0", "how long a create or a resume takes"),
        ("--stop-delay", "0", "how long a stop takes"),
        ("--idle-ttl", "10m", "how long without an exec until a sandbox is stopped; 0 is never"),
        (
            "--cleanup-ttl",
            f"{CLEANUP_TTL / 3600:g}h",
            "how long until a stopped sandbox is deleted, and a deleted one forgotten",
        ),
    ):
        group.add_argument(
            option,
            type=seconds,
            default=default,
            metavar="TIME",
            help=f"{what} (default: %(default)s)",
        )


def _add_host(group: Any) -> None:
    group.add_argument(
        "--known-image",
        action="extend",
        nargs="+",
        metavar="IMAGE",
        help="the only images that can be had (default: all can)",
    )
    group.add_argument(
        "--missing-image",
        action="extend",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="images that cannot be pulled",
    )
    group.add_argument(
        "--container",
        action="append",
        type=container,
        default=[],
        metavar="NAME=KIND",
        help="what certain containers do, see below; can be repeated",
    )
    group.add_argument(
        "--host-path",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders that count as there, for mounts and copies",
    )
    group.add_argument(
        "--docker-without",
        action="extend",
        nargs="+",
        choices=("gpus", "disk-quota"),
        default=[],
        help="what the Docker engine cannot do",
    )
    group.add_argument(
        "--docker-api",
        type=api_version,
        default="1.44",
        metavar="VERSION",
        help="the API version of the Docker engine (default: %(default)s)",
    )
    group.add_argument(
        "--port-in-use",
        action="extend",
        nargs="+",
        type=port,
        default=[],
        metavar="PORT",
        help="ports of the host that others hold",
    )


def _add_trouble(group: Any) -> None:
    group.add_argument(
        "--fault",
        action="append",
        type=fault,
        default=[],
        metavar="KIND=PROBABILITY",
        help="what goes wrong at random, see below; can be repeated",
    )
    group.add_argument(
        "--fault-method",
        type=method,
        metavar="RPC",
        help="the only RPC that faults act on, such as CreateExec (default: all)",
    )
    group.add_argument(
        "--seed",
        default="0",
        help="what the dice of the faults are made of: the same seed, the same faults "
        "(default: %(default)s)",
    )


def docker_host(options: argparse.Namespace) -> DockerHost:
    """Make the Docker engine that the options describe."""
    return DockerHost(
        api_version=options.docker_api,
        gpus="gpus" not in options.docker_without,
        disk_quota="disk-quota" not in options.docker_without,
        ports_in_use=options.port_in_use,
    )


# What follows reads one word each, for argparse.


def seconds(text: str) -> float:
    """Read a time; all that is written with a unit is a Go duration."""
    try:
        value = float(text)
    except ValueError:
        try:
            value = float(parse_nanoseconds(text) / 1_000_000_000)
        except (ValueError, OverflowError) as error:
            raise argparse.ArgumentTypeError(
                f"no time: {text!r}; write seconds, or a Go duration such as 1m30s"
            ) from error
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"time must be finite and not negative: {text!r}")
    return value


def probability(text: str) -> float:
    """Read a probability."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"no probability, 0 to 1: {text!r}")
    return value


def container(text: str) -> tuple[str, ContainerBehavior]:
    """Read `NAME=KIND`."""
    name, equals, value = text.partition("=")
    kind, colon, detail = value.partition(":")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"not NAME=KIND: {text!r}")
    if kind == "crashing":
        return name, ContainerBehavior(exits_after=seconds(detail) if colon else 0.0)
    if kind == "slow" and colon:
        return name, ContainerBehavior(healthy_after=seconds(detail))
    if kind == "error" and detail:
        return name, ContainerBehavior(error=detail)
    if value in ("healthy", "unhealthy"):
        return name, ContainerBehavior(healthy=value == "healthy")
    raise argparse.ArgumentTypeError(f"kind must be one of {_CONTAINERS}: {value!r}")


def fault(text: str) -> tuple[str, float | tuple[float, float]]:
    """Read `KIND=PROBABILITY` into an argument of `Faults.chaos()`."""
    kind, _, value = text.partition("=")
    if kind not in FAULTS:
        raise argparse.ArgumentTypeError(f"fault must be one of {', '.join(FAULTS)}: {kind!r}")
    if kind != "delay":
        return kind.replace("-", "_"), probability(value)
    odds, colon, longest = value.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"not delay=PROBABILITY:TIME: {text!r}")
    return kind, (probability(odds), seconds(longest))


def api_version(text: str) -> tuple[int, int]:
    """Read a version of Docker's API."""
    found = re.fullmatch(r"([0-9]+)\.([0-9]+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"no version such as 1.44: {text!r}")
    return int(found[1]), int(found[2])


def port(text: str) -> int:
    """Read a port."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in range(1, MAX_PORT + 1):
        raise argparse.ArgumentTypeError(f"no port, 1 to {MAX_PORT}: {text!r}")
    return int(text)


def method(text: str) -> str:
    """Read the name of an RPC."""
    try:
        check_method(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
