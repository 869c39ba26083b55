"""Reductions over one axis, several, or all."""

from __future__ import annotations

from math import prod
from typing import Any

from autodiff.extend import Array, Sample, primitive, sample

_AXES = [
    sample((2, 3), axis=None),
    sample((2, 3), axis=0),
    sample((2, 3), axis=-1, keepdims=True),
    sample((2, 3, 4), axis=(-1, 0)),
    sample((2, 3, 4), axis=(2, 0), keepdims=True),
    sample((2, 3), axis=None, keepdims=True),
    sample((2, 3), axis=()),
    sample((), axis=None),
]
_DISTINCT = [Sample(tuple(Array(a.shape, distinct=True) for a in s.inputs), s.attrs) for s in _AXES]
_EMPTY = [sample((0, 3), axis=0), sample((2, 0), axis=None)]


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the reduced axes, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))))


def _keep(y: Any, shape: tuple[int, ...], axis: Any, keepdims: bool, xp: Any) -> Any:
    """Give a reduced array the unit dimensions back that ``keepdims=True`` would have left."""
    if keepdims or not shape:
        return y
    axes = _axes(axis, len(shape))
    return xp.reshape(y, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _count(shape: tuple[int, ...], axis: Any) -> int:
    return prod(shape[a] for a in _axes(axis, len(shape)))


def _sum_vjp(g: Any, x_shape: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return xp.broadcast_to(_keep(g, x_shape, axis, keepdims, xp), x_shape)


@primitive(
    vjps=(_sum_vjp,),
    samples=[*_AXES, *_EMPTY, Sample((Array((2, 3), kind="complex"),), {"axis": 0})],
    method=True,
)
def sum(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:  # the array API's name
    """Sum over `axis`: an int, a tuple of ints, or None for all.

    Half precision is summed in float32. The gradient is spread over what was summed.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    if x.dtype == getattr(xp, "float16", None):
        return xp.astype(xp.sum(x, axis=axis, keepdims=keepdims, dtype=xp.float32), x.dtype)
    return xp.sum(x, axis=axis, keepdims=keepdims)


def _mean_vjp(g: Any, x_shape: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    scaled = g / max_(_count(x_shape, axis), 1)
    return xp.broadcast_to(_keep(scaled, x_shape, axis, keepdims, xp), x_shape)


max_ = max  # the builtin: `max` below is the op


@primitive(vjps=(_mean_vjp,), samples=[*_AXES, Sample((Array((2, 3), kind="complex"),), {"axis": 0})], method=True)
def mean(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over `axis`: an int, a tuple of ints, or None for all.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    array([1.5, 3.5])
    """
    return xp.mean(x, axis=axis, keepdims=keepdims)


def _max_vjp(g: Any, x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    shape = x.shape
    at_max = x == _keep(y, shape, axis, keepdims, xp)
    # Counted in float64: in half precision more than 2048 ties would not add up.
    ties = xp.sum(xp.astype(at_max, xp.float64), axis=axis, keepdims=True)
    return xp.where(at_max, _keep(g, shape, axis, keepdims, xp) / ties, 0.0)


@primitive(vjps=(_max_vjp,), samples=_DISTINCT, method=True)
def max(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:  # the array API's name
    """Maximum over `axis`: an int, a tuple of ints, or None for all.

    The gradient goes to the largest elements; where several tie, they share it evenly.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value([1.0, 1.0, 0.0])
    >>> x.max().backward()
    >>> x.grad
    array([0.5, 0.5, 0. ])
    """


def _logsumexp_vjp(g: Any, x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    shape = x.shape
    total = _keep(y, shape, axis, keepdims, xp)
    # Of nothing but -inf the sum is -inf: its gradient is 0, where the formula has -inf + inf.
    safe = xp.where(total == -xp.inf, 0.0, total)
    return _keep(g, shape, axis, keepdims, xp) * xp.exp(x - safe)


@primitive(vjps=(_logsumexp_vjp,), samples=_AXES, method=True)
def logsumexp(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over `axis`, without overflow: the maximum is taken out first.

    The gradient is ``softmax(x)``.

    References
    ----------
    P. Blanchard, D. Higham, N. Higham, "Accurately computing the log-sum-exp and softmax functions", IMA
    Journal of Numerical Analysis 41 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> float(autodiff.ops.logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    total = xp.sum(xp.exp(x - top), axis=axis, keepdims=True)
    y = top + xp.log(xp.where(total == 0, 1.0, total))
    y = xp.where(total == 0, -xp.inf, y)
    y = xp.astype(y, x.dtype)
    if keepdims:
        return y
    axes = _axes(axis, x.ndim)
    return xp.reshape(y, tuple(n for i, n in enumerate(x.shape) if i not in axes))
