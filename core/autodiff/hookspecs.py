"""The hooks of the plugin system, one for each thing that a plugin may bring.

Each hook is handed ``register``: there is no base class, no side effect of an import, and no order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

__all__ = ["hookimpl", "hookspec", "register_backends", "register_kernels", "register_ops"]

hookspec = pluggy.HookspecMarker("autodiff")
hookimpl = pluggy.HookimplMarker("autodiff")


@hookspec
def register_ops(register: Callable[..., None]) -> None:
    """Register ops: ``register(op, override=False)`` for each."""


@hookspec
def register_backends(register: Callable[..., None]) -> None:
    """Register backends: ``register(backend, override=False)`` with an instance of `Backend`."""


@hookspec
def register_kernels(register: Callable[..., Any]) -> None:
    """Register kernels for ops of others: ``register(op_or_id, backend_name, kernel, override=False)``."""
