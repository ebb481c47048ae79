"""The daemon as a server: the 13 RPCs, gRPC around them, its socket, its thread and its calls."""
