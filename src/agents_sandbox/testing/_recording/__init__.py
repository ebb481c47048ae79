"""The recorder: it stands between clients and a daemon, and writes what commands did."""
