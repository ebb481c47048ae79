"""Tests of the fake daemon, over the wire and without the client."""
