"""Faults that a test injects: for certain calls, in a block, or at random."""
