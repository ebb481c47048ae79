"""`python -m agents_sandbox` and `agents-sandbox`, the command line; it needs the extra `cli`."""

import signal
import sys
from importlib.util import find_spec

HINT = "agents-sandbox: the command line needs the extra cli: pip install 'agents-sandbox[cli]'\n"


def main() -> None:
    """Run the command line, and exit with its code, or with 125 and a hint without the extra."""
    if not (find_spec("click") and find_spec("rich")):
        sys.stderr.write(HINT)
        sys.exit(125)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback: nothing has begun yet
    from ._cli.program import main as run  # noqa: PLC0415 - not without the extra

    run()


if __name__ == "__main__":
    main()
