"""Tests of the client, written once; those of its blocking twin are generated from them."""
