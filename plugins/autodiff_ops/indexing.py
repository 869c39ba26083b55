"""Reading and writing by index, with every kind of index that NumPy has."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentTypeError, Array, Sample, linear, primitive, sample

_ROWS = [0, 2, 0, -1]
_MASK = [True, False, True]
_INDICES: list[tuple[tuple[int, ...], Any]] = [
    ((4, 3), (1,)),
    ((4, 3), (slice(None, None, -2), 1)),
    ((4, 3), (Ellipsis, None, slice(0, 2))),
    ((4, 3), (_ROWS,)),
    ((4, 3), (_ROWS, [0, 1, 0, 2])),
    ((3, 4), (_MASK,)),
    ((3, 4), (_MASK, slice(1, 3))),
    ((4, 3, 2), ([[0, 1], [1, 0]], slice(None), [[1, 1], [0, 1]])),
    ((3,), (slice(3, None),)),
    ((), (Ellipsis,)),
    ((), ()),
]


def _is_basic(index: tuple[Any, ...]) -> bool:
    """Tell whether an index selects each element at most once without arrays: slices, ints, None, Ellipsis."""
    return all(i is None or i is Ellipsis or isinstance(i, slice) or type(i) is int for i in index)


def _whole(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Name all axes, as the array API standard wants a basic index to; NumPy's kernel leaves them out."""
    return index if not _is_basic(index) or Ellipsis in index else (*index, Ellipsis)


def _getitem_vjp(g: Any, x_shape: Any, index: Any) -> Any:
    return scatter_add(g, shape=x_shape, index=index)


@linear(
    transpose=_getitem_vjp,
    samples=[sample(shape, index=index) for shape, index in _INDICES],
)
def getitem(xp: Any, x: Any, *, index: tuple[Any, ...]) -> Any:
    """``x[index]``: integers, slices, ``...``, None, integer arrays with duplicates, boolean masks, mixtures.

    The gradient of an element that is read several times is the sum of theirs.

    Examples
    --------
    >>> from autodiff import Value
    >>> y = Value([1.0, 2.0])
    >>> y[[0, 0]].sum().backward()
    >>> y.grad
    array([2., 0.])
    """
    return x[_whole(index)]


@linear(
    transpose=lambda g, index, xp: g[index],
    samples=[
        sample((3,), shape=(4, 3), index=(1,)),
        sample((4, 3), shape=(4, 3), index=(_ROWS,)),
        sample((2, 2), shape=(3, 4), index=(_MASK, slice(1, 3))),
    ],
)
def scatter_add(xp: Any, x: Any, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """Zeros of `shape` with `x` added at `index`: the transpose of `getitem`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.scatter_add(np.array([1.0, 2.0, 3.0]), shape=(3,), index=([0, 0, 2],))
    array([3., 0., 3.])
    """
    out = xp.zeros(shape, dtype=x.dtype)
    if _is_basic(index):
        out[_whole(index)] = x
        return out
    if not hasattr(xp.add, "at"):
        raise ArgumentTypeError("scatter_add by an index array needs a kernel of its own on this backend")
    xp.add.at(out, index, x)
    return out


def _setitem_vjp_x(g: Any, index: Any, xp: Any) -> Any:
    return setitem(g, 0.0, index=index)


def _setitem_vjp_value(g: Any, value_shape: Any, index: Any, x_shape: Any, xp: Any) -> Any:
    read = g[index]
    if not _is_basic(index):
        # Of several writes to one place only the last counts.
        read = xp.where(last_write(g, index=index), read, 0.0)
    extra = len(read.shape) - len(value_shape)
    axes = tuple(i for i in range(len(read.shape)) if i < extra or (value_shape[i - extra] == 1 and read.shape[i] != 1))
    return xp.reshape(xp.sum(read, axis=axes), value_shape) if axes else xp.reshape(read, value_shape)


@primitive(
    vjps=(_setitem_vjp_x, _setitem_vjp_value),
    samples=[
        Sample((Array((4, 3)), Array((3,))), {"index": (1,)}),
        Sample((Array((4, 3)), Array((2, 1))), {"index": (slice(0, 4, 2),)}),
        Sample((Array((4, 3)), Array((4, 3))), {"index": (_ROWS,)}),
        Sample((Array((3, 4)), Array(())), {"index": (_MASK,)}),
        Sample((Array((3,)), 0.5), {"index": (0,)}),
    ],
)
def setitem(xp: Any, x: Any, value: Any, *, index: tuple[Any, ...]) -> Any:
    """A copy of `x` whose elements at `index` are `value`, broadcast to them.

    What is overwritten gets no gradient. Where an index array names a place twice, the last write wins and
    it alone gets the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.setitem(np.zeros(3), 5.0, index=(1,))
    array([0., 5., 0.])
    """
    out = xp.asarray(x, copy=True)
    out[_whole(index)] = value
    return out


@primitive(vjps=(None,), samples=[sample((4, 3), index=(_ROWS,)), sample((3, 4), index=(_MASK,))])
def last_write(xp: Any, x: Any, *, index: tuple[Any, ...]) -> Any:
    """Tell for each element of ``x[index]`` whether it is the last one at its place; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.last_write(np.zeros(2), index=([0, 0, 1],))
    array([False,  True,  True])
    """
    order = xp.zeros(x.shape, dtype=xp.int64)
    shape = order[index].shape
    size = 1
    for n in shape:
        size *= n
    turn = xp.reshape(xp.arange(size, dtype=xp.int64), shape)
    order[index] = turn
    return order[index] == turn
