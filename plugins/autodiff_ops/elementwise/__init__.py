"""Ops that map their inputs element by element."""
