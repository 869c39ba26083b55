"""Order along an axis: sort, argsort, searchsorted."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, primitive, sample
from autodiff_ops.indexing import put_along_axis, take_along_axis
from autodiff_ops.shapes import normal_axis

_SAMPLES = [
    Sample((Array((5,), distinct=True),)),
    Sample((Array((2, 3, 2), distinct=True),), {"axis": 0}),
    Sample((Array((2, 3, 2), distinct=True),), {"axis": 1, "descending": True}),
    Sample((Array((4,), distinct=True),), {"stable": False}),
    Sample((Array((2, 6), -9.0, 9.0, distinct=True),)),
    sample((0, 3), axis=0),
    sample((3, 0)),
]


def sort_vjp(g: Any, x: Any, axis: int, descending: bool) -> Any:
    # Sorted again rather than kept: sorting alone takes a fraction of the time, and needs no memory later.
    return put_along_axis(g, argsort(x, axis=axis, descending=descending), g, axis=axis)


def _sort_jvp(t: Any, x: Any, axis: int, descending: bool) -> Any:
    return take_along_axis(t, argsort(x, axis=axis, descending=descending), axis=axis)


@primitive(vjps=(sort_vjp,), jvps=(_sort_jvp,), samples=_SAMPLES, batching=("axis",))
def sort(xp: Any, x: Any, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements in ascending, or `descending`, order along `axis`.

    Each gradient goes back to where its element came from; among equal ones the first in `x` counts as the
    first, whatever `stable` says.

    Examples
    --------
    >>> from autodiff import Value, ops
    >>> x = Value([3.0, 1.0, 2.0])
    >>> y = ops.sort(x)
    >>> (y * [10.0, 20.0, 30.0]).sum().backward()
    >>> x.grad
    array([30., 10., 20.])
    """
    y = xp.sort(x, axis=normal_axis("sort", axis, len(x.shape)))
    return xp.flip(y, axis=axis) if descending else y


@primitive(vjps=(None,), samples=_SAMPLES, method=True, batching=("axis",))
def argsort(xp: Any, x: Any, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices that sort `x` along `axis`, such as `take_along_axis` takes; not differentiable.

    With `stable` the indices of equal elements ascend, also in descending order.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.argsort(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    axis = normal_axis("argsort", axis, len(x.shape))
    if not descending:
        return xp.argsort(x, axis=axis, stable=stable)
    # Turned round twice, which keeps the order of equal elements.
    order = xp.argsort(xp.flip(x, axis=axis), axis=axis, stable=stable)
    return x.shape[axis] - 1 - xp.flip(order, axis=axis)


def _searchsorted_batching(x1: Any, x2: Any, side: str, sorter: Any, batched: tuple[bool, ...]) -> Any:
    # Each vector is searched alone, by the loop.
    return NotImplemented if batched[0] else searchsorted(x1, x2, side=side, sorter=sorter)


@primitive(
    vjps=(None, None),
    samples=[
        sample((1,), (4,)),
        sample((1,), (2, 2), side="right"),
        sample((1,), (), sorter=(0,)),
        sample((0,), (2,)),
    ],
    batching=_searchsorted_batching,
)
def searchsorted(xp: Any, x1: Any, x2: Any, *, side: str = "left", sorter: Any = None) -> Any:
    """Where each element of `x2` would stand in the ascending vector `x1`; not differentiable.

    Parameters
    ----------
    x1 : array
        A vector in ascending order, or in any order with `sorter`.
    x2 : array
        What is looked for; any shape, which is also the result's.
    side : {"left", "right"}
        Whether before or after elements of `x1` that are equal.
    sorter : array or tuple of int, optional
        The indices that sort `x1`, from `argsort`.

    Raises
    ------
    ArgumentError
        `side` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.searchsorted(np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0]))
    array([1, 3])
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side is 'left' or 'right'; it was given {side!r}")
    if sorter is not None:
        x1 = xp.take(x1, xp.asarray(sorter), axis=0)
    return xp.searchsorted(x1, x2, side=side)
