"""What a test reads of its daemon, in the client's types: requests, execs and sandboxes."""
