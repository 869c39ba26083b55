"""Running sums and products along an axis."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, linear, primitive, sample
from autodiff_ops.manipulation import flip
from autodiff_ops.shapes import conj, is_half, normal_axis

_SAMPLES = [
    sample((5,)),
    sample((2, 3), axis=0),
    sample((2, 3), axis=-1, include_initial=True),
    sample((2, 3, 2), axis=1),
    sample((1,)),
    sample((0,), include_initial=True),
    sample((2, 0), axis=1),
    sample((0, 3), axis=0),
    Sample((Array((4,), kind="complex"),)),
]


def _axis(where: str, axis: Any, ndim: int) -> int:
    if axis is None and ndim != 1:
        raise ArgumentError(f"{where}: axis is None for one dimension alone; there are {ndim}, so give one of them")
    return normal_axis(where, 0 if axis is None else axis, ndim)


def _along(axis: int, part: slice) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, part, Ellipsis)


def cumulative_sum_vjp(g: Any, axis: Any, include_initial: bool) -> Any:
    axis = _axis("cumulative_sum", axis, g.ndim)
    if include_initial:
        g = g[_along(axis, slice(1, None))]
    return flip(cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis)


def _cumulative_sum_batching(x: Any, axis: int | None, include_initial: bool) -> Any:
    axis = 1 + _axis("cumulative_sum", axis, len(x.shape) - 1)
    return cumulative_sum(x, axis=axis, include_initial=include_initial)


@linear(transpose=cumulative_sum_vjp, samples=_SAMPLES, batching=_cumulative_sum_batching)
def cumulative_sum(xp: Any, x: Any, *, axis: int | None = None, include_initial: bool = False) -> Any:
    """Sums of the first elements along `axis`: of one, of two, and so on; preceded by 0 with `include_initial`.

    Half precision is summed in float32. `axis` may be None for one dimension. The gradient is the cumulative
    sum from the other end.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.cumulative_sum(np.array([1.0, 2.0, 3.0]))
    array([1., 3., 6.])
    """
    axis = _axis("cumulative_sum", axis, len(x.shape))
    if is_half(x, xp):
        wide = xp.cumulative_sum(x, axis=axis, dtype=xp.float32, include_initial=include_initial)
        return xp.astype(wide, x.dtype)
    return xp.cumulative_sum(x, axis=axis, include_initial=include_initial)


def cumulative_prod_vjp(g: Any, x: Any, y: Any, axis: Any, include_initial: bool, xp: Any) -> Any:
    axis = _axis("cumulative_prod", axis, x.ndim)
    size = x.shape[axis]

    def part(z: Any, start: int | None, stop: int | None = None) -> Any:
        return z[_along(axis, slice(start, stop))]

    def later(z: Any, steps: int) -> Any:
        return xp.concat((part(z, steps), xp.zeros_like(part(z, 0, steps))), axis=axis)

    if size == 0:  # the standard knows no slices that leave an axis
        return part(g, 1) if include_initial else g
    if include_initial:
        g, before = part(g, 1), part(y, 0, -1)
    else:
        before = xp.concat((xp.ones_like(part(x, 0, 1)), part(y, 0, -1)), axis=axis)
    # With s[i] the sum over j >= i of g[j] times the product of the elements between i and j, the gradient is
    # before * s. No division: zeros do no harm. The recurrence s[i] = g[i] + x[i + 1] * s[i + 1] is solved by
    # doubling the distance that it spans.
    factor, s, steps = later(conj(x, xp), 1), g, 1
    while steps < size:
        s = s + factor * later(s, steps)
        factor = factor * later(factor, steps)
        steps *= 2
    return conj(before, xp) * s


def _cumulative_prod_batching(x: Any, axis: int | None, include_initial: bool) -> Any:
    axis = 1 + _axis("cumulative_prod", axis, len(x.shape) - 1)
    return cumulative_prod(x, axis=axis, include_initial=include_initial)


@primitive(vjps=(cumulative_prod_vjp,), samples=_SAMPLES, batching=_cumulative_prod_batching)
def cumulative_prod(xp: Any, x: Any, *, axis: int | None = None, include_initial: bool = False) -> Any:
    """Products of the first elements along `axis`: of one, of two, and so on; preceded by 1 with `include_initial`.

    Half precision is multiplied in float32. `axis` may be None for one dimension. The gradient is exact
    wherever there are zeros, since it divides by nothing: products of the other elements come from a parallel
    prefix scan.

    References
    ----------
    W. D. Hillis, G. L. Steele, "Data parallel algorithms", Communications of the ACM 29 (1986).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.cumulative_prod(np.array([1.0, 2.0, 3.0]))
    array([1., 2., 6.])
    """
    axis = _axis("cumulative_prod", axis, len(x.shape))
    if is_half(x, xp):
        wide = xp.cumulative_prod(x, axis=axis, dtype=xp.float32, include_initial=include_initial)
        return xp.astype(wide, x.dtype)
    return xp.cumulative_prod(x, axis=axis, include_initial=include_initial)
