"""Shell scripts that run in sandboxes, for every `sh` from dash to busybox; pure."""
