"""What stands for running a command: scripts of the test, or processes of the host."""
