"""Sandboxes, execs and events: the records, and the state machine that changes them."""
