"""The compared clients. Each runs in a process of its own, which does nothing else."""
