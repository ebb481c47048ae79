"""The wire format: messages, the method table, the codec and the error details.

Everything here is pure: no I/O, no clock, no gRPC.
"""
