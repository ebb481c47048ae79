"""Checks the pages of the built documentation; `tox -e docs` runs them."""
