"""The output of execs: log files on this host, read without trust, and what is made of them.

The protocol has no call for output. A sandbox's log folder is mounted in it, writable: a command
can put anything in the place of its log.
"""
