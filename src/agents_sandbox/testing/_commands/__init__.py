"""How the fake daemon runs commands: as scripts, as functions of the test, or on the host."""
