"""Activation functions for autodiff, a plugin like anyone else's.

Each module declares activations of one kind; `register_ops` registers whatever they declare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.extend import hookimpl, ops_of
from autodiff_activations import hard, normalised, rectified, smooth

_OPS = {op.name: op for op in ops_of(rectified, hard, smooth, normalised)}


def __getattr__(name: str) -> Any:
    try:
        return _OPS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no op {name!r}") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *_OPS])


@hookimpl
def register_ops(register: Callable[..., None]) -> None:
    """Register the activations."""
    for op in _OPS.values():
        register(op)
