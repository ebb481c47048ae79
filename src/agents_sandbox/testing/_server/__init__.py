"""The daemon as a server: its 13 RPCs, gRPC, socket, thread and recorded calls."""
