"""What a test reads: requests, execs, sandboxes and containers, in the client's types."""
