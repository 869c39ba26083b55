"""Reductions over one axis, several, or all."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, linear, primitive, sample
from autodiff_ops.cumulative import cumulative_prod
from autodiff_ops.manipulation import flip
from autodiff_ops.shapes import conj, is_half, normal_axes, size_of, sizes

_AXES = [
    sample((2, 3), axis=None),
    sample((2, 3), axis=0),
    sample((2, 3), axis=-1, keepdims=True),
    sample((2, 3, 4), axis=(-1, 0)),
    sample((2, 3, 4), axis=(2, 0), keepdims=True),
    sample((4, 1, 2), axis=1),
    sample((2, 3, 2), axis=2),
    sample((2, 3), axis=None, keepdims=True),
    sample((2, 3), axis=()),
    sample((), axis=None),
]
_DISTINCT = [Sample(tuple(Array(a.shape, distinct=True) for a in s.inputs), s.attrs) for s in _AXES]
_EMPTY = [sample((0, 3), axis=0), sample((2, 0), axis=None)]


def keep(y: Any, shape: tuple[int, ...], axis: Any, keepdims: bool, xp: Any) -> Any:
    """Give a reduced array the unit dimensions back that ``keepdims=True`` would have left, if it needs them."""
    if keepdims or axis is None or not shape:  # without axes it broadcasts as it is
        return y
    axes = normal_axes("a reduction", axis, len(shape))
    return xp.reshape(y, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def count_of(shape: tuple[int, ...], axis: Any) -> int:
    """Return how many elements go into one result."""
    return size_of(shape[a] for a in normal_axes("a reduction", axis, len(shape)))


def _sum_vjp(g: Any, x_shape: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return xp.broadcast_to(keep(g, x_shape, axis, keepdims, xp), x_shape)


@linear(
    transpose=_sum_vjp,
    samples=[*_AXES, *_EMPTY, Sample((Array((2, 3), kind="complex"),), {"axis": 0})],
    method=True,
    batching=("axis",),
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
    if is_half(x, xp):
        return xp.astype(xp.sum(x, axis=axis, keepdims=keepdims, dtype=xp.float32), x.dtype)
    return xp.sum(x, axis=axis, keepdims=keepdims)


def _mean_vjp(g: Any, x_shape: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    # The reciprocal, not the count: in float16 that is infinite from 65,520 on.
    scaled = g * (1 / max_(count_of(x_shape, axis), 1))
    return xp.broadcast_to(keep(scaled, x_shape, axis, keepdims, xp), x_shape)


max_ = max  # the builtin: `max` below is the op


@linear(
    transpose=_mean_vjp,
    samples=[*_AXES, Sample((Array((2, 3), kind="complex"),), {"axis": 0})],
    method=True,
    batching=("axis",),
)
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


def _chosen(x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> tuple[Any, Any]:
    """Return which elements of `x` are equal to the result `y`, and how many tie."""
    chosen = x == keep(y, x.shape, axis, keepdims, xp)
    # Counted in float64: in half precision more than 2048 ties would not add up.
    return chosen, xp.sum(xp.astype(chosen, xp.float64), axis=axis, keepdims=True)


def extremum_vjp(g: Any, x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    """Share the cotangent evenly among the elements of `x` that are equal to the result `y`."""
    chosen, ties = _chosen(x, y, axis, keepdims, xp)
    share = xp.astype(keep(g, x.shape, axis, keepdims, xp) / ties, g.dtype)
    return xp.where(chosen, share, 0.0)


def extremum_jvp(t: Any, x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    """Return the mean of the tangents of the elements of `x` that are equal to the result `y`."""
    chosen, ties = _chosen(x, y, axis, keepdims, xp)
    return sum(xp.where(chosen, xp.astype(t / ties, t.dtype), 0.0), axis=axis, keepdims=keepdims)


@primitive(vjps=(extremum_vjp,), jvps=(extremum_jvp,), samples=_DISTINCT, method=True, batching=("axis",))
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


@primitive(vjps=(extremum_vjp,), jvps=(extremum_jvp,), samples=_DISTINCT, method=True, batching=("axis",))
def min(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:  # the array API's name
    """Minimum over `axis`: an int, a tuple of ints, or None for all.

    The gradient goes to the smallest elements; where several tie, they share it evenly.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value([1.0, 1.0, 3.0])
    >>> x.min().backward()
    >>> x.grad
    array([0.5, 0.5, 0. ])
    """


def others(x: Any, axis: int, xp: Any) -> Any:
    """Return for each element of `x` the product of the others along `axis`, from both sides; nothing is divided."""
    here = (*(slice(None),) * axis, slice(0, -1), Ellipsis)
    before = cumulative_prod(x, axis=axis, include_initial=True)[here]
    after = cumulative_prod(flip(x, axis=axis), axis=axis, include_initial=True)[here]
    return before * flip(after, axis=axis)


def _rest(x: Any, axis: Any, xp: Any) -> Any:
    """Return for each element of `x` the product of the others over `axis`."""
    shape = x.shape
    axes = normal_axes("prod", axis, len(shape))
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    # The reduced axes, last and as one.
    order = (*kept, *axes)
    there = tuple(shape[i] for i in order)
    flat = xp.reshape(xp.permute_dims(x, order), (*there[: len(kept)], count_of(shape, axis)))
    rest = xp.reshape(others(flat, len(kept), xp), there)
    return xp.permute_dims(rest, tuple(order.index(i) for i in range(len(shape))))


def prod_vjp(g: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return keep(g, x.shape, axis, keepdims, xp) * conj(_rest(x, axis, xp), xp)


def _prod_jvp(t: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return sum(t * _rest(x, axis, xp), axis=axis, keepdims=keepdims)


@primitive(
    vjps=(prod_vjp,),
    jvps=(_prod_jvp,),
    samples=[
        *_AXES,
        *_EMPTY,
        sample((1,)),
        sample((2, 5), axis=1),
        Sample((Array((2, 3), kind="complex"),), {"axis": 1}),
    ],
    method=True,
    batching=("axis",),
)
def prod(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over `axis`: an int, a tuple of ints, or None for all.

    Half precision is multiplied in float32. The derivative by an element is the product of the others, from
    cumulative products of both sides rather than by division: it is right, to any order, with any number of
    zeros.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value([0.0, 2.0, 3.0])
    >>> x.prod().backward()
    >>> x.grad
    array([6., 0., 0.])
    """
    if is_half(x, xp):
        return xp.astype(xp.prod(x, axis=axis, keepdims=keepdims, dtype=xp.float32), x.dtype)
    return xp.prod(x, axis=axis, keepdims=keepdims)


def _nansum_vjp(g: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return xp.where(x == x, keep(g, x.shape, axis, keepdims, xp), 0.0)


def _nansum_jvp(t: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return sum(xp.where(x == x, t, 0.0), axis=axis, keepdims=keepdims)


@primitive(
    vjps=(_nansum_vjp,),
    jvps=(_nansum_jvp,),
    samples=[*_AXES, *_EMPTY, Sample((Array((3,), kind="complex"),))],
    batching=("axis",),
)
def nansum(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over `axis` of what is not NaN: an int, a tuple of ints, or None for all.

    Half precision is summed in float32. The gradient of an element that is NaN is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nansum(np.array([1.0, np.nan, 2.0])).item()
    3.0
    """
    return sum(xp.where(x == x, x, 0), axis=axis, keepdims=keepdims)


def _numbers(x: Any, axis: Any, xp: Any) -> Any:
    """Count what is not NaN, in float64: in half precision more than 2048 elements would not add up."""
    return xp.sum(xp.astype(x == x, xp.float64), axis=axis, keepdims=True)


def _nanmean_vjp(g: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    share = xp.astype(keep(g, x.shape, axis, keepdims, xp) / _numbers(x, axis, xp), g.dtype)
    return xp.where(x == x, share, 0.0)


def _nanmean_jvp(t: Any, x: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    share = xp.astype(t / _numbers(x, axis, xp), t.dtype)
    return sum(xp.where(x == x, share, 0.0), axis=axis, keepdims=keepdims)


@primitive(
    vjps=(_nanmean_vjp,),
    jvps=(_nanmean_jvp,),
    samples=[*_AXES, Sample((Array((3,), kind="complex"),))],
    batching=("axis",),
)
def nanmean(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over `axis` of what is not NaN: an int, a tuple of ints, or None for all.

    Half precision is averaged in float32. The gradient of an element that is NaN is 0; of nothing but NaN the
    mean is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nanmean(np.array([1.0, np.nan, 2.0])).item()
    1.5
    """
    wide = xp.astype(x, xp.float32) if is_half(x, xp) else x
    total = xp.sum(xp.where(wide == wide, wide, 0), axis=axis, keepdims=True)
    mean = total / xp.astype(_numbers(x, axis, xp), total.dtype)
    mean = xp.astype(mean, x.dtype) if is_half(x, xp) else mean
    return mean if keepdims else _drop(mean, x.shape, axis, xp)


def _drop(y: Any, shape: tuple[int, ...], axis: Any, xp: Any) -> Any:
    """Take the unit dimensions of a reduction away."""
    axes = normal_axes("a reduction", axis, len(shape))
    return xp.reshape(y, tuple(n for i, n in enumerate(shape) if i not in axes))


def _shares(x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    """Return the softmax of `x`, of which `y` is the logarithm of the sum."""
    total = keep(y, x.shape, axis, keepdims, xp)
    # Of nothing but -inf the sum is -inf: its gradient is 0, where the formula has -inf + inf.
    return xp.exp(x - xp.where(total == -xp.inf, 0.0, total))


def logsumexp_vjp(g: Any, x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return keep(g, x.shape, axis, keepdims, xp) * conj(_shares(x, y, axis, keepdims, xp), xp)


def _logsumexp_jvp(t: Any, x: Any, y: Any, axis: Any, keepdims: bool, xp: Any) -> Any:
    return sum(t * _shares(x, y, axis, keepdims, xp), axis=axis, keepdims=keepdims)


@primitive(
    vjps=(logsumexp_vjp,),
    jvps=(_logsumexp_jvp,),
    samples=[*_AXES, Sample((Array((2, 3), -1.0, 1.0, "complex"),), {"axis": 1})],
    method=True,
    batching=("axis",),
    reference="scipy.special:logsumexp",
)
def logsumexp(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over `axis`, without overflow: the maximum is taken out first.

    Half precision is summed in float32. The gradient is ``softmax(x)``.

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
    if is_half(x, xp):
        return xp.astype(logsumexp.function(xp, xp.astype(x, xp.float32), axis=axis, keepdims=keepdims), x.dtype)
    if 0 in x.shape:  # there may be no maximum: the logarithm of an empty sum is -inf
        empty = xp.sum(x, axis=axis, keepdims=keepdims)
        return xp.full_like(empty, -xp.inf)
    top = xp.max(sizes(x, xp), axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    total = xp.sum(xp.exp(x - top), axis=axis, keepdims=True)
    y = top + xp.log(xp.where(total == 0, 1.0, total))
    y = xp.where(total == 0, -xp.inf, y)
    y = xp.astype(y, x.dtype)
    return y if keepdims else _drop(y, x.shape, axis, xp)
