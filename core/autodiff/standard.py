"""The table of standard ops behind operators, methods and NumPy's protocols; loading the plugins fills it.

They always mean the ops shipped with autodiff: a stranger's ``add`` never becomes ``+``.
"""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff.errors import PluginError
from autodiff.handles import Callee

__all__ = ["Standard", "standard"]


class Missing(Callee):
    """Stands for a standard op whose plugin is not loaded; says so when it is called."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._count, self._defaults, self._quick, self._known = -1, {}, {}, {}

    def __call__(self, /, *args: Any, **attrs: Any) -> NoReturn:
        self._full(args, attrs)

    def _full(self, args: tuple[Any, ...], attrs: dict[str, Any]) -> NoReturn:
        raise PluginError(
            f"The standard op {self.name!r} is not registered: the plugin that brings it, shipped with autodiff, "
            f"is disabled or failed to load. `autodiff plugins` shows which."
        )


class Standard:
    """The ops behind operators, methods and NumPy's protocols: always the ones shipped with autodiff."""

    names = (
        *("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow", "matmul"),
        *("negative", "positive", "abs", "exp", "log", "sqrt", "tanh", "sigmoid", "relu"),
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("floor", "ceil", "trunc", "round"),
        *("sum", "mean", "max", "reshape", "permute_dims", "getitem", "setitem", "astype", "to", "conj"),
        *("real", "imag"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert", "bitwise_left_shift", "bitwise_right_shift"),
    )
    __slots__ = names

    def __init__(self) -> None:
        self.fill({})

    def fill(self, ops: dict[str, Any]) -> None:
        """Take each op from ``autodiff_ops`` or ``autodiff_activations``."""
        for name in self.names:
            op = ops.get(f"autodiff_ops.{name}") or ops.get(f"autodiff_activations.{name}") or Missing(name)
            setattr(self, name, op)


standard: Any = Standard()
