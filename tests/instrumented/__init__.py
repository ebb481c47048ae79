"""Runs tests under the tracing libraries that instrument gRPC: see `tox -e instrumented`."""
