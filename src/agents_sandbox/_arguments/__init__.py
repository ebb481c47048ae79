"""The arguments of calls: checks, specs, durations, creates.

Everything here is pure.
"""
