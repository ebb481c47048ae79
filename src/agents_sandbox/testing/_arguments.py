"""The command line of `python -m agents_sandbox.testing`: its options and their parsers."""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
from dataclasses import dataclass
from typing import Any, NoReturn

from .._shared.facts import MAX_PORT
from .._shared.go_durations import parse_nanoseconds
from .._shared.shown import shown
from ._commands.handlers import checked_exit_code
from ._commands.modes import EXEC_MODES
from ._host.declared import ContainerBehavior, DockerHost
from ._protocol.profile import PROFILES, RELEASES
from ._protocol.rpcs import check_method
from ._settings import CLEANUP_TTL

_CONTAINERS = "healthy, unhealthy, slow:TIME, crashing[:TIME], error:MESSAGE"
FAULTS = ("unavailable", "lose-answer", "burn", "deadline", "delay", "drop", "duplicate", "skip")
_EPILOG = """\
TIME is a number of seconds, or a Go duration such as 500ms or 1m30s.

--container NAME=KIND sets what a container does. NAME is the name of a service
or companion, the sandbox id of a primary container, or an image:
  healthy         runs, and its first health check passes; the default
  unhealthy       runs, and its health check never passes
  slow:TIME       runs, and its health check passes after this time
  crashing:TIME   exits by itself after this time; without a time, immediately
  error:MESSAGE   cannot be created; Docker reports this message

--fault KIND=PROBABILITY injects faults at random, P from 0 to 1:
  unavailable=P   a call fails with UNAVAILABLE and has no effect
  lose-answer=P   a call takes effect, but fails with UNAVAILABLE
  burn=P          a create reserves its id, but creates nothing
  deadline=P      a call ends just before its deadline, with OK or CANCELLED
  delay=P:TIME    an answer is delayed by up to this time
  drop=P          a stream breaks after an event
  duplicate=P     an event is sent twice
  skip=P          an event is never sent
"""


class Parser(argparse.ArgumentParser):
    """Reports errors in one line, which the usage text of so many options would hide."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


@dataclass(frozen=True)
class Script:
    """What a scripted command does."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str


class AppendScript(argparse.Action):
    """Parses the three arguments of `--on-exec`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: Any,  # three strings, because of `nargs`
        option_string: str | None = None,  # noqa: ARG002 - argparse's signature
    ) -> None:
        """Add a script to the previous ones."""
        command, code, stdout = values
        try:
            argv = tuple(shlex.split(command))
        except ValueError as error:
            raise argparse.ArgumentError(
                self, f"COMMAND {shown(command)} cannot be parsed: {error}"
            ) from error
        if not argv:
            raise argparse.ArgumentError(self, "COMMAND must not be empty")
        try:
            exit_code = checked_exit_code(int(code))
        except ValueError as error:
            raise argparse.ArgumentError(
                self, f"CODE must be an exit code from 0 to 255, not {shown(code)}"
            ) from error
        scripts = [*getattr(namespace, self.dest), Script(argv, exit_code, stdout)]
        setattr(namespace, self.dest, scripts)


def make_parser() -> Parser:
    """Make the parser of the command line."""
    parser = Parser(
        prog="python -m agents_sandbox.testing",
        usage="%(prog)s --socket PATH [OPTION ...]",
        description="A fake agents-sandbox daemon on a Unix socket. It prints one line when it is\n"
        "ready and serves until SIGINT, SIGTERM or SIGHUP. After SIGINT and SIGTERM it waits up\n"
        "to 60 s for clients to close their event streams; another signal ends them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_daemon(parser.add_argument_group("daemon"))
    _add_commands(parser.add_argument_group("commands"))
    _add_times(parser.add_argument_group("times"))
    _add_host(parser.add_argument_group("host"))
    _add_faults(parser.add_argument_group("faults"))
    return parser


def _variable(name: str) -> str:
    if name not in os.environ:
        raise argparse.ArgumentTypeError(f"the variable {shown(name)} is not set")
    return os.environ[name]


def make_record_parser() -> Parser:
    """Make the parser of the command line after `record`."""
    parser = Parser(
        prog="python -m agents_sandbox.testing record",
        usage="%(prog)s --daemon PATH --socket PATH --cassette FILE [OPTION ...]",
        description="Record what a live daemon does, until SIGINT, SIGTERM or SIGHUP.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--daemon", required=True, metavar="PATH", help="the socket of the live daemon"
    )
    parser.add_argument(
        "--socket", required=True, metavar="PATH", help="the socket for clients to use instead"
    )
    parser.add_argument(
        "--cassette", required=True, metavar="FILE", help="the cassette to write at the end"
    )
    parser.add_argument(
        "--redact",
        action="append",
        default=[],
        metavar="TEXT",
        help="a text to replace everywhere; can be repeated",
    )
    parser.add_argument(
        "--redact-env",
        action="append",
        dest="redact",
        type=_variable,
        metavar="NAME",
        help="the same, from an environment variable: other users see command lines; can be "
        "repeated",
    )
    parser.add_argument(
        "--mode",
        choices=("rewrite", "new_episodes"),
        default="rewrite",
        help="what happens to a cassette that exists: it is replaced, or extended by what it "
        "lacks (default: %(default)s)",
    )
    return parser


# argparse has no public name for the type of a group.


def _add_daemon(group: Any) -> None:
    group.add_argument(
        "--socket", required=True, metavar="PATH", help="the path of the socket to listen on"
    )
    group.add_argument(
        "--daemon-version",
        default=RELEASES[-1],
        metavar="VERSION",
        help=f"the release to imitate: {', '.join(PROFILES)} (default: %(default)s)",
    )
    group.add_argument(
        "--reported-version",
        metavar="TEXT",
        help="the version that the daemon reports (default: the release)",
    )


def _add_commands(group: Any) -> None:
    group.add_argument(
        "--exec",
        choices=EXEC_MODES,
        help="what commands without an --on-exec do: print nothing and exit with 0 (scripted), "
        "really run on this host, unprotected (passthrough) or each sandbox for itself "
        "(isolated), or isolated if this system allows it, else passthrough (auto) "
        "(default: auto, or with --unscripted fail or --cassette scripted)",
    )
    group.add_argument(
        "--unscripted",
        choices=("succeed", "fail"),
        default="succeed",
        help="with fail, commands without an --on-exec do not start, and at its end the program "
        "names the first one and exits with 1 (default: %(default)s)",
    )
    group.add_argument(
        "--cassette",
        metavar="FILE",
        help="replay a cassette: commands without an --on-exec do what was recorded, and one that "
        "it lacks does not start, as with --unscripted fail",
    )
    group.add_argument(
        "--in-order",
        action="store_true",
        help="with --cassette, let no command of a sandbox start before those that were recorded "
        "before it",
    )
    group.add_argument(
        "--on-exec",
        action=AppendScript,
        nargs=3,
        default=[],
        metavar=("COMMAND", "CODE", "STDOUT"),
        help="script a command: it writes STDOUT and exits with CODE; can be repeated; if "
        "several match, the last one applies",
    )
    group.add_argument(
        "--exec-log-root",
        metavar="DIR",
        help="the folder of exec logs, which remain there (default: a private folder, removed "
        "at exit)",
    )


def _add_times(group: Any) -> None:
    for option, default, what in (
        ("--ready-delay", "0", "how long a create or a resume takes"),
        ("--stop-delay", "0", "how long a stop takes"),
        ("--remove-delay", "0", "how long a delete takes to remove containers"),
        ("--idle-ttl", "10m", "time without an exec until a sandbox is stopped; 0: never"),
        (
            "--cleanup-ttl",
            f"{CLEANUP_TTL / 3600:g}h",
            "time until a stopped sandbox is deleted and a deleted one is purged",
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
        help="the only images that exist (default: every image exists)",
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
        "--image-folder",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders that every image has, besides those of a Debian image",
    )
    group.add_argument(
        "--image-without-command",
        action="extend",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="images without a command of their own: a service or companion needs one",
    )
    group.add_argument(
        "--container",
        action="append",
        type=container,
        default=[],
        metavar="NAME=KIND",
        help="what a container does, see below; can be repeated",
    )
    group.add_argument(
        "--host-path",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders that mounts and copies find on the host; all other paths must really exist",
    )
    group.add_argument(
        "--docker-without",
        action="extend",
        nargs="+",
        choices=("gpus", "disk-quota"),
        default=[],
        help="what the Docker engine does not support",
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
        help="ports of the host that are in use",
    )


def _add_faults(group: Any) -> None:
    group.add_argument(
        "--fault",
        action="append",
        type=fault,
        default=[],
        metavar="KIND=PROBABILITY",
        help="inject a fault at random, see below; can be repeated",
    )
    group.add_argument(
        "--fault-method",
        type=method,
        metavar="RPC",
        help="the only RPC that faults affect, such as CreateExec (default: all)",
    )
    group.add_argument(
        "--seed",
        default="0",
        help="the seed of the faults: the same seed gives the same faults (default: %(default)s)",
    )


def docker_host(options: argparse.Namespace) -> DockerHost:
    """Return the Docker engine that the options describe."""
    return DockerHost(
        api_version=options.docker_api,
        gpus="gpus" not in options.docker_without,
        disk_quota="disk-quota" not in options.docker_without,
        ports_in_use=options.port_in_use,
    )


# Each of the following functions parses one argument for argparse.


def seconds(text: str) -> float:
    """Parse a time; text with a unit is a Go duration."""
    try:
        value = float(text)
    except ValueError:
        try:
            value = float(parse_nanoseconds(text) / 1_000_000_000)
        except (ValueError, OverflowError) as error:
            raise argparse.ArgumentTypeError(
                f"TIME must be seconds or a Go duration such as 1m30s, not {shown(text)}"
            ) from error
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"TIME must be finite and not negative: {shown(text)}")
    return value


def probability(text: str) -> float:
    """Parse a probability."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"PROBABILITY must be from 0 to 1, not {shown(text)}")
    return value


def container(text: str) -> tuple[str, ContainerBehavior]:
    """Parse `NAME=KIND`."""
    name, equals, value = text.partition("=")
    kind, colon, detail = value.partition(":")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=KIND, not {shown(text)}")
    if kind == "crashing":
        return name, ContainerBehavior(exits_after=seconds(detail) if colon else 0.0)
    if kind == "slow" and colon:
        return name, ContainerBehavior(healthy_after=seconds(detail))
    if kind == "error" and detail:
        return name, ContainerBehavior(error=detail)
    if value in ("healthy", "unhealthy"):
        return name, ContainerBehavior(healthy=value == "healthy")
    raise argparse.ArgumentTypeError(f"KIND must be one of {_CONTAINERS}, not {shown(value)}")


def fault(text: str) -> tuple[str, float | tuple[float, float]]:
    """Parse `KIND=PROBABILITY` into an argument of `Faults.chaos()`."""
    kind, _, value = text.partition("=")
    if kind not in FAULTS:
        raise argparse.ArgumentTypeError(
            f"KIND must be one of {', '.join(FAULTS)}, not {shown(kind)}"
        )
    if kind != "delay":
        return kind.replace("-", "_"), probability(value)
    odds, colon, longest = value.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"expected delay=PROBABILITY:TIME, not {shown(text)}")
    return kind, (probability(odds), seconds(longest))


def api_version(text: str) -> tuple[int, int]:
    """Parse a version of Docker's API."""
    found = re.fullmatch(r"([0-9]+)\.([0-9]+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"VERSION must be like 1.44, not {shown(text)}")
    return int(found[1]), int(found[2])


def port(text: str) -> int:
    """Parse a port."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in range(1, MAX_PORT + 1):
        raise argparse.ArgumentTypeError(f"PORT must be from 1 to {MAX_PORT}, not {shown(text)}")
    return int(text)


def method(text: str) -> str:
    """Check the name of an RPC."""
    try:
        check_method(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
