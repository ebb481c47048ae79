"""Checks of create requests, in messages or in `config_yaml`."""
