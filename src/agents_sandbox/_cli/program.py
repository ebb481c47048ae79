"""The program `agents-sandbox`: its commands, its errors and its exit codes."""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from typing import Any, NoReturn, cast

import click

from .. import (
    OperationTimeoutError,
    SandboxClientError,
    SandboxLeftoverWarning,
    __version__,
)
from .codes import FAILED, INTERRUPTED, SIGNALLED, TIMED_OUT
from .doctor import doctor
from .events import events, timeline
from .execs import logs, run
from .sandboxes import create, ls, resume, rm, show, stop
from .screen import complain, report, show_cursor, warn
from .settings import SHARED, Settings
from .streams import drop_unwritten, open_streams
from .words import said


def main() -> NoReturn:
    """Run the command line of this process."""
    # So that blocks delete what they have made.
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, _leave),
        (signal.SIGHUP, _leave),
    ):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP under nohup
            signal.signal(number, handler)
    open_streams()
    settings = Settings()
    try:
        program.main(prog_name="agents-sandbox", obj=settings)
    except KeyboardInterrupt:  # one more, while the first was reported
        sys.exit(INTERRUPTED)
    finally:
        drop_unwritten()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was made is gone
        show_cursor(settings)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(SIGNALLED + number)


class _Program(click.Group):
    """Exits with the documented codes."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run one command."""
        try:
            code = self._code(*args, **kwargs)
        except OSError as error:
            complain(said(error))
            code = FAILED
        sys.exit(code)

    def _code(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            if isinstance(error, click.NoSuchOption) and error.ctx and error.ctx.command is run:
                text = f"{error.format_message()} Write -- before the command that has options."
                error = click.UsageError(text, error.ctx)
            error.show()
            return FAILED
        except click.Abort:
            return INTERRUPTED

    def invoke(self, ctx: click.Context) -> Any:
        """Run one command, and return its exit code."""
        settings = ctx.ensure_object(Settings)
        warned: list[Warning] = []
        with warnings.catch_warnings():
            warnings.simplefilter("always", SandboxLeftoverWarning)  # it may be all that is left
            warnings.showwarning = lambda warning, *_: warned.append(cast("Warning", warning))
            try:
                code = super().invoke(ctx)
            except (SandboxClientError, OSError, KeyboardInterrupt, SystemExit) as error:
                if getattr(error, "errno", None) == errno.EPIPE:
                    warn(settings, warned)
                    raise  # the reader has closed the output: click ends with 1
                if isinstance(error, KeyboardInterrupt) and not settings.json:
                    click.echo(err=True)  # after the terminal's ^C
                report(settings, error, warned)
                return _code_of(error)
            except BaseException:
                warn(settings, warned)
                raise
        warn(settings, warned)
        return code


def _code_of(error: BaseException) -> Any:
    if isinstance(error, SystemExit):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return TIMED_OUT if isinstance(error, OperationTimeoutError) else FAILED


@click.group(
    cls=_Program,
    params=[*SHARED],
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: that of the command of run; 1 if doctor finds a problem; 124 after a time "
    "limit, 125 after another failure, 126 if a command has no exit code, 130 after Ctrl-C, "
    "143 after SIGTERM.",
)
@click.version_option(__version__, message="agents-sandbox %(version)s")
def program() -> None:
    """See and operate the sandboxes of the agents-sandbox daemon."""


for _command in (doctor, ls, show, create, run, logs, events, timeline, stop, resume, rm):
    program.add_command(_command)
