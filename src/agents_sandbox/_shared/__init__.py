"""What the client and the fake daemon share: facts of the protocol and texts for people.

Everything here is pure, and contains no judgement.
"""
