"""Broadcasting, and the gradients of sums and means, which are nothing else: of few numbers by filling an array.

NumPy's own function is Python code, and takes as long as thousands of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from autodiff_numpy import blocks

__all__ = ["KERNELS", "RULES"]

Function = Callable[..., Any]


def _broadcast_to(x: Any, *, shape: Any) -> Any:
    if x.ndim > len(shape) or prod(shape) > blocks.FILLED:
        return np.broadcast_to(x, shape)
    y = np.empty(shape, x.dtype)
    y[...] = x
    return y


def _sum_rule(g: Any, x_shape: Any, axis: Any, keepdims: bool) -> Any:
    n = len(x_shape)
    if g.ndim < n and axis is not None:
        axes = [a % n for a in (axis if isinstance(axis, tuple) else (axis,))]
        g = g.reshape([1 if i in axes else size for i, size in enumerate(x_shape)])
    return _broadcast_to(g, shape=x_shape)


def _mean_rule(g: Any, x_shape: Any, axis: Any, keepdims: bool) -> Any:
    # The reciprocal, not the count: in float16 that is infinite from 65,520 on.
    count = prod(x_shape) // max(prod(g.shape), 1)
    return _sum_rule(g * (1 / max(count, 1)), x_shape, axis, keepdims)


#: For arrays, and for the scalars that reductions of whole arrays return.
KERNELS: dict[str, Function] = {"autodiff.broadcast_to": _broadcast_to}

#: They name no more than the op's own.
RULES: dict[str, tuple[Function, ...]] = {"autodiff_ops.sum": (_sum_rule,), "autodiff_ops.mean": (_mean_rule,)}
