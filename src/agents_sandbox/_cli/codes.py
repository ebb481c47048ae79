"""The exit codes of the program. `run` has those of its commands, too."""

PROBLEM = 1
"""`doctor` has found a problem."""

# As `timeout` and `docker run` have them: commands leave these codes to those who run them.
TIMED_OUT = 124
FAILED = 125
NO_EXIT_CODE = 126
"""The command of a `run` has none: it was not started, was cancelled, or the daemon restarted."""

INTERRUPTED = 130

SIGNALLED = 128
"""And the number of the signal."""
