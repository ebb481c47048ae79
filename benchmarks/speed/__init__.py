"""The speed of both clients, compared with gRPC's raw stub: `python -m benchmarks.speed --help`."""
