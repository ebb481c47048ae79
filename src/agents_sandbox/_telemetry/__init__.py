"""What the client reports to those who operate it.

The client says what happened; this room decides how it is written. It never gets commands, values
of variables, configurations, output or values of labels.
"""
