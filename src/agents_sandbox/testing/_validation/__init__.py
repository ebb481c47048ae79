"""What a create may ask for, as messages or as `config_yaml`."""
