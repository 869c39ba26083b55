"""Arithmetic of large arrays: on several threads, and into memory that is free where the engine says so.

A single pass over memory is all that such a function does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from autodiff_numpy import blocks
from autodiff_numpy.blocks import by_elements, is_large
from autodiff_numpy.loops import loop, usable

__all__ = ["KERNELS", "add", "add_product", "binary", "free", "multiply"]

Function = Callable[..., Any]

_NUMBERS = (float, int)


def _is_number(x: Any, like: Any) -> bool:
    """Tell whether `x` is one number, with which arithmetic gives another array of the dtype of `like`."""
    if type(x) in _NUMBERS:
        return like.dtype.kind in "fc"
    return isinstance(x, np.generic) and x.dtype == like.dtype


def _is_alike(x: Any, like: Any) -> bool:
    """Tell whether `x` has the dtype of `like`, and its shape or the end of it, as a bias has."""
    return isinstance(x, ndarray) and x.dtype == like.dtype and x.shape == like.shape[like.ndim - x.ndim :]


def _apply(ufunc: Any, x1: Any, x2: Any, out: Any = None) -> Any:
    """Return ``ufunc(x1, x2)``, in `out` if that is given; one of them may be a number."""
    if type(x1) is ndarray and x1.size > blocks.LARGE:
        if type(x2) is ndarray:
            if x1.shape == x2.shape and is_large(x1, x2):
                return by_elements(lambda y, a, b: ufunc(a, b, out=y), x1, x2, out=out, once=True)
        elif is_large(x1) and _is_number(x2, x1):
            return by_elements(lambda y, a: ufunc(a, x2, out=y), x1, out=out, once=True)
    elif type(x2) is ndarray and is_large(x2) and _is_number(x1, x2):
        return by_elements(lambda y, b: ufunc(x1, b, out=y), x2, out=out, once=True)
    return ufunc(x1, x2, out=out)


def binary(plain: Function, ufunc: Any) -> Function:
    """Return a kernel that is `plain` for small arrays, and the same ufunc on several threads for large ones."""

    def kernel(x1: Any, x2: Any) -> Any:
        if (x1.size if type(x1) is ndarray else getattr(x2, "size", 0)) > blocks.LARGE:
            return _apply(ufunc, x1, x2)
        return plain(x1, x2)

    return kernel


def free(out: Any, other: Any) -> Any:
    """Return `out`, to which nobody else refers, if what is made of it and `other` may be written into it; else None.

    Its memory must be its own, and the result one of its shape and dtype.
    """
    if type(out) is not ndarray or not (out.flags.owndata and out.flags.writeable):
        return None
    return out if _is_number(other, out) or _is_alike(other, out) else None


def add(a: Any, b: Any, out: Any) -> Any:
    """Return ``a + b``; `out` is None, or one of the two if nobody else refers to it."""
    return _apply(np.add, a, b, free(out, b if out is a else a))


def multiply(a: Any, b: Any, out: Any) -> Any:
    """Return ``a * b``; `out` is None, or one of the two if nobody else refers to it."""
    return _apply(np.multiply, a, b, free(out, b if out is a else a))


def add_product(total: Any, a: Any, b: Any) -> Any:
    """Return ``total + a * b``, in the memory of `total`, which nobody else refers to; all have one shape and dtype."""
    if is_large(total, a, b) and free(total, a) is total:
        return by_elements(_add_product, a, b, out=total, once=usable())
    return add(total, a * b, total)


def _add_product(total: Any, a: Any, b: Any) -> None:
    if not loop("add_product", total.size)(total, a, b):
        np.add(total, a * b, total)


#: Ops that are a ufunc of two arrays; where Python has an operator, that is called 40 ns faster.
KERNELS: dict[str, Function] = {
    "autodiff_ops.add": binary(operator.add, np.add),
    "autodiff_ops.subtract": binary(operator.sub, np.subtract),
    "autodiff_ops.multiply": binary(operator.mul, np.multiply),
    "autodiff_ops.divide": binary(operator.truediv, np.divide),
    "autodiff_ops.maximum": binary(np.maximum, np.maximum),
    "autodiff_ops.minimum": binary(np.minimum, np.minimum),
}
