"""Scripts of the SDK that run in sandboxes, each in a module that loads on first use; pure.

They run with `sh` alone, whichever shell that is: dash, bash or the one of busybox.
"""
