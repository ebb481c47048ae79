"""What travels: messages, the method table, the codec and the error details.

Everything in here is pure: no I/O, no clock, no gRPC.
"""
