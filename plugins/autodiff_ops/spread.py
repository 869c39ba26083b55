"""Spread and size: variance, standard deviation, vector norms."""

from __future__ import annotations

import math
from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, primitive, sample
from autodiff_ops.reduction import count_of, extremum_jvp, extremum_vjp, keep, mean, sum
from autodiff_ops.shapes import conj, is_half, normal_axes

_AXES = [
    sample((2, 3)),
    sample((2, 3), axis=0),
    sample((2, 3), axis=-1, keepdims=True),
    sample((2, 3, 4), axis=(2, 0)),
]
_SPREADS = [
    *_AXES,
    sample((5,), correction=1),
    sample((2, 3), axis=1, correction=0.5),
    sample((3, 0), axis=0),
    Sample((Array((4,), kind="complex"),)),
]


def _deviations(x: Any, axis: Any) -> Any:
    """Return what `x` differs by from its mean along `axis`: exactly 0 where it is constant."""
    axes = normal_axes("a deviation", axis, len(x.shape))
    # The mean of equal numbers is rounded, that of equal zeros is not.
    x = x - x[(*(slice(0, 1) if i in axes else slice(None) for i in range(len(x.shape))), Ellipsis)]
    return x - mean(x, axis=axis, keepdims=True) if count_of(x.shape, axis) else x


def _freedom(shape: Any, axis: Any, correction: float) -> float:
    """Return what the sum of squares is divided by: NaN rather than 0, which no gradient can be divided by."""
    return max(count_of(shape, axis) - correction, 0.0) or math.nan


def _var_vjp(g: Any, x: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    scale = 2.0 / _freedom(x.shape, axis, correction)
    return keep(g, x.shape, axis, keepdims, xp) * scale * _deviations(x, axis)


def _along(t: Any, x: Any, xp: Any) -> Any:
    """Return how far each tangent points into the direction of `x`: the real part of ``conj(x) * t``."""
    product = conj(x, xp) * t
    return xp.real(product) if xp.isdtype(product.dtype, "complex floating") else product


def _var_jvp(t: Any, x: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    scale = 2.0 / _freedom(x.shape, axis, correction)
    return sum(_along(t, _deviations(x, axis), xp), axis=axis, keepdims=keepdims) * scale


@primitive(
    vjps=(_var_vjp,), jvps=(_var_jvp,), samples=[*_SPREADS, sample((), axis=None)], method=True, batching=("axis",)
)
def var(xp: Any, x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variance over `axis`, an int, a tuple of ints, or None for all: ``sum(|x - mean(x)|^2) / (n - correction)``.

    A `correction` of 1 gives the unbiased estimate. Half precision is summed in float32. The gradient is
    ``2 (x - mean(x)) / (n - correction)``, exactly 0 where `x` is constant, and NaN, as the value, where n is not
    above the correction.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.var(np.array([1.0, 2.0, 3.0]), correction=1).item()
    1.0
    """
    if is_half(x, xp):
        wide = xp.astype(x, xp.float32)
        return xp.astype(xp.var(wide, axis=axis, correction=correction, keepdims=keepdims), x.dtype)
    if xp.isdtype(x.dtype, "complex floating"):  # for which the standard has no var
        parts = [xp.var(p, axis=axis, correction=correction, keepdims=keepdims) for p in (xp.real(x), xp.imag(x))]
        return parts[0] + parts[1]
    return xp.var(x, axis=axis, correction=correction, keepdims=keepdims)


def _std_vjp(g: Any, x: Any, y: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    shape = x.shape
    y = keep(y, shape, axis, keepdims, xp)
    flat = y == 0
    scaled = xp.where(flat, 0.0, keep(g, shape, axis, keepdims, xp) / _freedom(shape, axis, correction))
    return scaled * (_deviations(x, axis) / xp.where(flat, 1.0, y))


def _std_jvp(t: Any, x: Any, y: Any, axis: Any, correction: float, keepdims: bool, xp: Any) -> Any:
    flat = y == 0
    total = sum(_along(t, _deviations(x, axis), xp), axis=axis, keepdims=keepdims)
    return xp.where(flat, 0.0, total / _freedom(x.shape, axis, correction)) / xp.where(flat, 1.0, y)


@primitive(vjps=(_std_vjp,), jvps=(_std_jvp,), samples=_SPREADS, method=True, batching=("axis",))
def std(xp: Any, x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation over `axis`, an int, a tuple of ints, or None for all: the square root of `var`.

    Half precision is summed in float32. The gradient is ``(x - mean(x)) / ((n - correction) * std(x))``. Where
    `x` is constant, the bottom of a cone, it is 0.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value([2.0, 2.0, 2.0])
    >>> x.std().backward()
    >>> x.grad
    array([0., 0., 0.])
    """
    if is_half(x, xp):
        wide = xp.astype(x, xp.float32)
        return xp.astype(xp.std(wide, axis=axis, correction=correction, keepdims=keepdims), x.dtype)
    if xp.isdtype(x.dtype, "complex floating"):
        return xp.sqrt(var.function(xp, x, axis=axis, correction=correction, keepdims=keepdims))
    return xp.std(x, axis=axis, correction=correction, keepdims=keepdims)


def _norm_vjp(g: Any, x: Any, y: Any, axis: Any, keepdims: bool, ord: float, xp: Any) -> Any:
    shape = x.shape
    if ord == 0:
        return None
    if ord in (math.inf, -math.inf):
        return extremum_vjp(g, xp.abs(x), y, axis, keepdims, xp) * xp.sign(x)
    g, y = keep(g, shape, axis, keepdims, xp), keep(y, shape, axis, keepdims, xp)
    if ord == 1:
        return g * xp.sign(x)
    zero = y == 0
    safe = xp.where(zero, 1.0, y)
    if ord == 2:
        return xp.where(zero, 0.0, g) * (x / safe)
    size = xp.abs(x)
    none = size == 0
    relative = xp.where(none, 1.0, size) / safe
    return xp.where(none, 0.0, g * relative ** (ord - 1)) * xp.sign(x)


def _norm_jvp(t: Any, x: Any, y: Any, axis: Any, keepdims: bool, ord: float, xp: Any) -> Any:
    if ord == 0:
        return None
    if ord == 2:
        zero = y == 0
        total = sum(_along(t, x, xp), axis=axis, keepdims=keepdims)
        return xp.where(zero, 0.0, total) / xp.where(zero, 1.0, y)
    along = _along(t, xp.sign(x), xp)
    if ord in (math.inf, -math.inf):
        return extremum_jvp(along, xp.abs(x), y, axis, keepdims, xp)
    if ord == 1:
        return sum(along, axis=axis, keepdims=keepdims)
    y = keep(y, x.shape, axis, keepdims, xp)
    size = xp.abs(x)
    none = size == 0
    relative = xp.where(none, 1.0, size) / xp.where(y == 0, 1.0, y)
    return sum(xp.where(none, 0.0, along * relative ** (ord - 1)), axis=axis, keepdims=keepdims)


@primitive(
    vjps=(_norm_vjp,),
    jvps=(_norm_jvp,),
    samples=[
        *_AXES,
        *(sample((2, 3), axis=1, ord=p) for p in (0, 1, 3, 1.5)),
        *(sample((2, 3), axis=1, ord=p, keepdims=True) for p in (1, 3)),
        sample(Array((2, 3), 0.5, 2.0), axis=0, ord=-1),
        sample(Array((2, 3), 0.5, 2.0, distinct=True), axis=1, ord=math.inf),
        sample(Array((2, 3), 0.5, 2.0, distinct=True), ord=-math.inf, keepdims=True),
        sample((0, 3), axis=0),
        sample((), axis=None),
        Sample((Array((4,), kind="complex"),)),
        Sample((Array((4,), kind="complex"),), {"ord": 1}),
        Sample((Array((4,), kind="complex"),), {"ord": 3}),
    ],
    batching=("axis",),
)
def norm(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Vector norm over `axis`, ``sum(|x|^ord)^(1/ord)``; a matrix counts as the vector of its elements.

    Parameters
    ----------
    x : array
        Any shape.
    axis : int, tuple of int, or None
        What to reduce; None for all.
    keepdims : bool
        Whether to leave axes of size 1.
    ord : float
        2 is the Euclidean norm, 1 the sum of sizes, inf and -inf the largest and the smallest, 0 the number of
        elements that are not 0, which has the derivative 0.

    Raises
    ------
    ArgumentError
        `ord` is no number.

    Notes
    -----
    The derivative is ``sign(x) (|x| / norm)^(ord - 1)``, for complex numbers with ``sign(z) = z / |z|``. Where
    everything is 0, the tip of a cone, it is 0; so is it for an element 0 where the formula has no limit.
    For inf and -inf the elements that tie share it evenly.

    Examples
    --------
    >>> from autodiff import Value, ops
    >>> x = Value([3.0, 4.0])
    >>> length = ops.norm(x)
    >>> length.backward()
    >>> length.item(), x.grad
    (5.0, array([0.6, 0.8]))
    """
    if isinstance(ord, bool) or not isinstance(ord, int | float):
        raise ArgumentError(f"norm: ord is a number, inf and -inf included; it was given {ord!r}")
    size = xp.abs(x)
    if is_half(size, xp):
        return xp.astype(_norm(xp.astype(size, xp.float32), axis, keepdims, ord, xp), x.dtype)
    return _norm(size, axis, keepdims, ord, xp)


def _norm(size: Any, axis: Any, keepdims: bool, ord: float, xp: Any) -> Any:
    if ord == 2:
        return xp.sqrt(xp.sum(size * size, axis=axis, keepdims=keepdims))
    if ord == 1:
        return xp.sum(size, axis=axis, keepdims=keepdims)
    if ord in (math.inf, -math.inf):
        return (xp.max if ord > 0 else xp.min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return xp.sum(xp.astype(size != 0, size.dtype), axis=axis, keepdims=keepdims)
    return xp.sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)
