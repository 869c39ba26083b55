"""What a node keeps of a call: a getter for each slot of its plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.registry import PYTHON_SCALARS, registry

__all__ = ["Get", "getter"]

#: From raw inputs, output, residuals and attributes of a call.
Get = Callable[[Any, Any, Any, dict[str, Any]], Any]


def getter(slot: tuple[Any, ...]) -> Get:
    """Return a function that finds what a node keeps in this slot."""
    kind = slot[0]
    where: Any = slot[-1]
    match kind:
        case "x":
            return lambda xs, y, residuals, attrs: xs[where]
        case "y":
            return lambda xs, y, residuals, attrs: y
        case "attr":
            return lambda xs, y, residuals, attrs: attrs[where]
        case "residual":
            return lambda xs, y, residuals, attrs: residuals[where]
        case "xs":
            return lambda xs, y, residuals, attrs: tuple(xs)
        case "attrs":
            return lambda xs, y, residuals, attrs: attrs
    fact: Callable[[Any], Any] = {"shape": _shape, "dtype": _dtype, "device": _device}[kind]
    if where is None:
        return lambda xs, y, residuals, attrs: tuple([fact(x) for x in xs])
    if kind == "shape":
        return lambda xs, y, residuals, attrs: () if type(xs[where]) in PYTHON_SCALARS else xs[where].shape
    return lambda xs, y, residuals, attrs: fact(xs[where])


# Of Python's numbers too, which reach kernels as they are.
def _shape(x: Any) -> Any:
    return getattr(x, "shape", ())


def _dtype(x: Any) -> Any:
    return getattr(x, "dtype", type(x))


def _device(x: Any) -> Any:
    own = registry.backend_of(type(x))
    return None if own is None else f"{own.name}:{own.device(x)}"
