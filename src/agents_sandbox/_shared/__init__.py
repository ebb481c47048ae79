"""What the client and the fake daemon share: facts, texts for people, the removal of folders.

Everything else here is pure, and nothing contains judgement.
"""
