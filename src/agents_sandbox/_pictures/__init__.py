"""Pictures and tables for people: what `timeline` and `table` make; pure."""
