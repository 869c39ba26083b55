"""NumPy's ``where=`` and ``initial=``: reductions of some of the elements, and from a first one.

Each is made of ops: what is left out is replaced by what changes nothing, so that derivatives of it are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.composed import array_of, shape_of, shipped
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.registry import registry
from autodiff.standard import standard
from autodiff.value import unwrap

__all__ = ["PARTIAL", "partial_mean", "partial_reduction"]

#: Reductions that take `where`: what changes nothing in each; there is nothing for an extremum but `initial`.
_NEUTRAL = {"sum": 0, "nansum": 0, "prod": 1, "all": True, "any": False, "max": None, "min": None}
#: Those that take `initial`: how it joins the result.
_JOINED = {"sum": "add", "nansum": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}

#: The names of reductions that can be of a part, `mean` aside.
PARTIAL = frozenset(_NEUTRAL)


def partial_reduction(
    name: str, reduction: Callable[..., Any], x: Any, where: Any = None, initial: Any = None, **options: Any
) -> Any:
    """Reduce `x` where `where` holds, all of it for None, with `initial` as one more element.

    Raises
    ------
    ArgumentError
        `where` does not broadcast to the shape of `x`, or an extremum has no `initial` beside it.
    ArgumentTypeError
        `where` is not of booleans, or the reduction takes no `initial`.
    """
    if initial is not None and name not in _JOINED:
        raise ArgumentTypeError(f"{name}(initial=...) is not supported for Values; leave it out")
    x = array_of(x)
    if where is not None:
        neutral = _NEUTRAL[name] if _NEUTRAL[name] is not None else initial
        if neutral is None:
            raise ArgumentError(f"{name}(where=...) of no elements would have no value: pass `initial` too")
        x = shipped("where")(_mask(name, where, x), x, _like(neutral, x))
    y = reduction(x, **options)
    return y if initial is None else shipped(_JOINED[name])(y, _like(initial, y))


def partial_mean(x: Any, where: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean of the elements where `where` holds; of none it is NaN.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        As `partial_reduction`.
    """
    x = array_of(x)
    mask = _mask("mean", where, x)
    own = registry.asarray(unwrap(x))[1]
    every = own.xp.broadcast_to(unwrap(mask), shape_of(x))
    # The op adds half precision up in single, and brings integers to floating point.
    y = standard.mean(shipped("where")(mask, x, 0), axis=axis, keepdims=keepdims)
    share = standard.mean(every, axis=axis, keepdims=keepdims)
    return standard.divide(y, _like(share, y))


def _mask(name: str, where: Any, x: Any) -> Any:
    mask = array_of(where)
    if registry.kind(mask.dtype, registry.asarray(unwrap(mask))[1]) != "bool":
        raise ArgumentTypeError(f"{name}(where=...) takes booleans; it was given {mask.dtype}")
    shape, whole = shape_of(mask), shape_of(x)
    if len(shape) > len(whole) or any(n not in (1, m) for n, m in zip(shape[::-1], whole[::-1], strict=False)):
        raise ArgumentError(f"{name}: where, of shape {shape}, does not broadcast to the shape {whole} of the array")
    return mask


def _like(other: Any, x: Any) -> Any:
    """Return `other` in the dtype of `x`; Python's numbers are weak and stay what they are."""
    return standard.astype(other, dtype=x.dtype) if getattr(other, "dtype", x.dtype) != x.dtype else other
