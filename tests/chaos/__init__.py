"""The parts of the chaos suite that both flavours share: what a run does, and its judge.

`tests/_async/chaos.py` and `chaos_programs.py` are the other half, which needs the client.
"""
