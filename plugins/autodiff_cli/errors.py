"""What a command says instead of a traceback."""

from __future__ import annotations

__all__ = ["CannotRunError"]


class CannotRunError(Exception):
    """What was asked for cannot be done; the message says why and what to do, and the exit code is 2."""
