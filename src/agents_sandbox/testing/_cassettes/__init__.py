"""Cassettes: what commands really did, as files that people review, and their replay."""
