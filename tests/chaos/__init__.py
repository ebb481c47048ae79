"""The parts of the chaos suite that are the same for both flavours: what a run does, and its judge.

`tests/_async/chaos.py` and `chaos_programs.py` are the other half: what needs the client.
"""
