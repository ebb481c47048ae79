"""Running execs in the hands of a program, on top of the client's calls."""
