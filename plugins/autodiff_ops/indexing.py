"""Reading and writing by index, with every kind of index that NumPy has."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.extend import (
    ArgumentTypeError,
    Array,
    InBatch,
    Sample,
    backend_of,
    broadcast_to,
    linear,
    primitive,
    sample,
    shifted,
)
from autodiff_ops.manipulation import moveaxis, reshape
from autodiff_ops.shapes import normal_axis, size_of

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


# ---- an index in front of which there is a batch -------------------------------------------------------------------


class _Places(NamedTuple):
    """An index of one example as one of the batch, and where what it reads has the axes of one example.

    `moved` are axes of what is read: from where, and to where they belong behind the batch.
    """

    places: tuple[Any, ...]
    moved: tuple[tuple[int, ...], tuple[int, ...]]

    @classmethod
    def of(cls, index: tuple[Any, ...], shape: Any, in_front: bool) -> _Places | None:
        """Return the places of an index of one example of `shape`, or None where the loop shall find them.

        `in_front` says that the array has a batch axis of its own; otherwise the index alone brings it.
        """
        if any(isinstance(i, list | tuple) and _depth(i) is None for i in index):
            return None
        own = [i for i in index if isinstance(i, InBatch)]
        chosen = [n for n, i in enumerate(index) if not _is_basic((i,)) or type(i) is int]
        masks = [i for i in index if _is_mask(i)]
        if own and (masks or any(_is_mask(i.array) for i in own)):
            return None  # how much a mask chooses differs between examples
        if _is_basic(index):
            return cls((slice(None), *index), ((), ()))
        axes = max([_ndim(index[n]) for n in chosen], default=0)
        together = chosen[-1] - chosen[0] + 1 == len(chosen)
        before = _axes_before(index, chosen[0], len(shape)) if together else 0
        if not own:
            # Where arrays are apart, NumPy puts their axes before all others.
            return cls((slice(None), *index), ((), ()) if together else ((axes,), (0,)))
        index = tuple(_laid_out(i.array, axes) if isinstance(i, InBatch) else i for i in index)
        if not in_front:
            return cls(index, ((before,), (0,)) if together else ((), ()))
        size = own[0].array.shape[0]
        numbers = reshape(_own_xp(own[0].array).arange(size), shape=(size, *(1,) * axes))
        there = tuple(range(1, axes + 1))
        return cls((numbers, *index), (there, tuple(n + before for n in there)))

    def in_front(self, read: Any) -> Any:
        """Return what was read with the batch in front, then the axes of one example."""
        return moveaxis(read, source=self.moved[0], destination=self.moved[1]) if self.moved[0] else read

    def as_read(self, x: Any) -> Any:
        """Return the axes in the order in which they are read and written: the inverse of `in_front`."""
        return moveaxis(x, source=self.moved[1], destination=self.moved[0]) if self.moved[0] else x


def _depth(i: Any) -> int | None:
    """Return the dimensions of nested lists of numbers; None if there are arrays among them."""
    if not isinstance(i, list | tuple):
        return 0 if type(i) in (int, bool) else None
    inside = [_depth(item) for item in i] or [0]
    return None if None in inside else 1 + (inside[0] or 0)


def _ndim(i: Any) -> int:
    """Return how many axes an index reads along, together with others."""
    if isinstance(i, InBatch):
        return len(i.array.shape) - 1
    return 1 if _is_mask(i) else len(i.shape) if hasattr(i, "shape") else _depth(i) or 0


def _is_mask(i: Any) -> bool:
    if isinstance(i, list | tuple):
        return len(i) > 0 and _is_mask(i[0])
    own: Any = backend_of(type(i))
    return type(i) is bool or (own is not None and own.kind(i.dtype) == "bool")


def _axes_before(index: tuple[Any, ...], stop: int, ndim: int) -> int:
    """Return how many axes of the result come before that of place `stop` of an index."""
    named = sum(_named(i) for i in index)
    return sum(ndim - named if i is Ellipsis else 1 for i in index[:stop])


def _named(i: Any) -> int:
    """Return how many axes of the array an index is for."""
    if i is None or i is Ellipsis:
        return 0
    return max(_depth(i) or 0, len(getattr(i, "shape", ()))) if _is_mask(i) else 1


def _laid_out(array: Any, axes: int) -> Any:
    """Return the array of a batch with unit axes behind the batch, so that it broadcasts with the other indices."""
    return reshape(array, shape=(array.shape[0], *(1,) * (axes + 1 - len(array.shape)), *array.shape[1:]))


def _getitem_vjp(g: Any, x_shape: Any, index: Any) -> Any:
    return scatter_add(g, shape=x_shape, index=index)


def _getitem_batching(x: Any, index: Any, batched: tuple[bool, ...]) -> Any:
    found = _Places.of(index, x.shape[1:] if batched[0] else x.shape, batched[0])
    return NotImplemented if found is None else found.in_front(getitem(x, index=found.places))


@linear(
    transpose=_getitem_vjp,
    samples=[sample(shape, index=index) for shape, index in _INDICES],
    batching=_getitem_batching,
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


def _scatter_add_batching(x: Any, shape: tuple[int, ...], index: Any, batched: tuple[bool, ...]) -> Any:
    found = _Places.of(index, shape, True)
    if found is None or not batched[0]:
        return NotImplemented
    return scatter_add(found.as_read(x), shape=(x.shape[0], *shape), index=found.places)


@linear(
    transpose=lambda g, index: getitem(g, index=index),
    samples=[
        sample((3,), shape=(4, 3), index=(1,)),
        sample((4, 3), shape=(4, 3), index=(_ROWS,)),
        sample((2, 2), shape=(3, 4), index=(_MASK, slice(1, 3))),
    ],
    batching=_scatter_add_batching,
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
        raise ArgumentTypeError(
            "scatter_add by an array of indices, which is also the gradient of reading by one, needs xp.add.at, or a kernel "
            "that the backend's kernel_for returns for it; autodiff_array_api.ArrayAPIBackend has one"
        )
    xp.add.at(out, index, x)
    return out


def _setitem_vjp_x(g: Any, index: Any, xp: Any) -> Any:
    return setitem(g, 0.0, index=index)


def _setitem_vjp_value(g: Any, value_shape: Any, index: Any, x_shape: Any, xp: Any) -> Any:
    read = getitem(g, index=index)
    if not _is_basic(index):
        # Of several writes to one place only the last counts.
        read = xp.where(last_write(g, index=index), read, 0.0)
    return _sum_to(read, value_shape, xp)


def _sum_to(g: Any, shape: tuple[int, ...], xp: Any) -> Any:
    """Sum over what was broadcast from `shape`."""
    extra = len(g.shape) - len(shape)
    axes = tuple(i for i in range(len(g.shape)) if i < extra or (shape[i - extra] == 1 and g.shape[i] != 1))
    return xp.reshape(xp.sum(g, axis=axes), shape) if axes else xp.reshape(g, shape)


def _setitem_batching(x: Any, value: Any, index: Any, batched: tuple[bool, ...]) -> Any:
    found = _Places.of(index, x.shape[batched[0] :], True)
    if found is None or not any(batched):
        return NotImplemented
    if not batched[0]:
        x = broadcast_to(x, shape=(value.shape[0], *x.shape))
    if hasattr(value, "shape"):
        shape = found.in_front(getitem(x, index=found.places)).shape
        if batched[1]:
            value = reshape(value, shape=(value.shape[0], *(1,) * (len(shape) - len(value.shape)), *value.shape[1:]))
        value = found.as_read(broadcast_to(value, shape=shape))
    return setitem(x, value, index=found.places)


@primitive(
    vjps=(_setitem_vjp_x, _setitem_vjp_value),
    samples=[
        Sample((Array((4, 3)), Array((3,))), {"index": (1,)}),
        Sample((Array((4, 3)), Array((2, 1))), {"index": (slice(0, 4, 2),)}),
        Sample((Array((4, 3)), Array((4, 3))), {"index": (_ROWS,)}),
        Sample((Array((3, 4)), Array(())), {"index": (_MASK,)}),
        Sample((Array((3,)), 0.5), {"index": (0,)}),
    ],
    batching=_setitem_batching,
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


def _last_write_batching(x: Any, index: Any, batched: tuple[bool, ...]) -> Any:
    found = _Places.of(index, x.shape[batched[0] :], True)
    if found is None or not batched[0]:
        return NotImplemented
    return found.in_front(last_write(x, index=found.places))


@primitive(
    vjps=(None,),
    samples=[sample((4, 3), index=(_ROWS,)), sample((3, 4), index=(_MASK,))],
    batching=_last_write_batching,
)
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


# ---- by arrays of indices along one axis --------------------------------------------------------------------


def _integers(where: str, indices: Any, xp: Any) -> Any:
    """Return indices as integers: a list of ints arrives as floats, because lists mean the reals."""
    if not hasattr(indices, "dtype") or not xp.isdtype(indices.dtype, "real floating"):
        return indices
    whole = xp.astype(indices, xp.int64)
    if not bool(xp.all(whole == indices)):
        raise ArgumentTypeError(f"{where} takes integers as indices; it was given numbers with a fraction")
    return whole


def _own_xp(array: Any) -> Any:
    """Return the library of a raw array: indices stay raw where `xp` makes Values."""
    own: Any = backend_of(type(array))
    return own.xp


def _take_vjp(g: Any, x_shape: Any, indices: Any, axis: int | None, xp: Any) -> Any:
    if not isinstance(indices, int):
        indices = _integers("take", indices, _own_xp(indices))
    if axis is None:
        size = 1
        for n in x_shape:
            size *= n
        return xp.reshape(scatter_add(g, shape=(size,), index=(indices,)), x_shape)
    before = (slice(None),) * normal_axis("take", axis, len(x_shape))
    return scatter_add(g, shape=x_shape, index=(*before, indices))


def _take_jvp(t: Any, indices: Any, axis: int | None) -> Any:
    return take(t, indices, axis=axis)


def _take_batching(x: Any, indices: Any, axis: int | None, batched: tuple[bool, ...]) -> Any:
    if axis is None:
        x, axis = reshape(x, shape=(*x.shape[: batched[0]], size_of(x.shape[batched[0] :]))), 0
    axis = normal_axis("take", axis, len(x.shape) - batched[0])
    if not batched[1]:
        return take(x, indices, axis=axis + 1)
    if not batched[0]:
        return moveaxis(take(x, indices, axis=axis), source=axis, destination=0)
    return NotImplemented


@primitive(
    vjps={"x": _take_vjp, "indices": None},
    jvps={"x": _take_jvp, "indices": None},
    samples=[
        Sample((Array((4,)), Array((3,), 0, 4, "int"))),
        Sample((Array((4, 3)), Array((5,), -4, 4, "int")), {"axis": 0}),
        Sample((Array((2, 3)), Array((2, 2), 0, 3, "int")), {"axis": -1}),
        Sample((Array((2, 3)), Array((4,), 0, 6, "int"))),
        Sample((Array((2, 3)), 1), {"axis": 1}),
        Sample((Array((2, 3)), Array((0,), 0, 1, "int")), {"axis": 0}),
        Sample((Array((3,), kind="complex"), Array((4,), 0, 3, "int"))),
    ],
    method=True,
    batching=_take_batching,
)
def take(xp: Any, x: Any, indices: Any, *, axis: int | None = None) -> Any:
    """The slices of `x` at `indices` along `axis`; None takes elements of the flattened array.

    The shape of `indices`, which may have any number of axes, stands in place of the axis. Negative ones count
    from the end. The gradient of a slice that is taken several times is the sum of theirs.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.take(np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]))
    array([3., 1., 3.])
    """
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    axis = normal_axis("take", axis, len(x.shape))
    if isinstance(indices, int):
        return x[(*(slice(None),) * axis, indices, Ellipsis)]
    indices = _integers("take", indices, xp)
    taken = xp.take(x, xp.reshape(indices, (-1,)), axis=axis)
    return xp.reshape(taken, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _along(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """Return the index that reads or writes `indices` along `axis` of an array of `shape`, and the rest in step."""
    xp = _own_xp(indices)
    n = len(shape)
    if len(indices.shape) != n:
        raise ArgumentTypeError(
            f"along an axis, indices have as many dimensions as the array: {n}, not {len(indices.shape)}"
        )
    return tuple(
        indices if i == axis else xp.reshape(xp.arange(size), (*(1,) * i, size, *(1,) * (n - 1 - i)))
        for i, size in enumerate(shape)
    )


def take_along_axis_vjp(g: Any, x_shape: Any, indices: Any, axis: int) -> Any:
    indices = _integers("take_along_axis", indices, _own_xp(indices))
    index = _along(x_shape, indices, normal_axis("take_along_axis", axis, len(x_shape)))
    return scatter_add(g, shape=x_shape, index=index)


def _take_along_axis_jvp(t: Any, indices: Any, axis: int) -> Any:
    return take_along_axis(t, indices, axis=axis)


_ALONG = [
    Sample((Array((4,)), Array((3,), 0, 4, "int"))),
    Sample((Array((2, 3)), Array((2, 4), -3, 3, "int"))),
    Sample((Array((3, 2)), Array((2, 2), 0, 3, "int")), {"axis": 0}),
    Sample((Array((3, 3)), Array((3, 3), 0, 3, "int")), {"axis": 0}),  # as many along one axis as along the other
    Sample((Array((3, 3)), Array((3, 3), 0, 3, "int")), {"axis": -2}),
    Sample((Array((2, 3, 2)), Array((1, 2, 1), 0, 3, "int")), {"axis": 1}),
    Sample((Array((3,), kind="complex"), Array((4,), 0, 3, "int"))),
]


@primitive(
    vjps={"x": take_along_axis_vjp, "indices": None},
    jvps={"x": _take_along_axis_jvp, "indices": None},
    samples=[*_ALONG, Sample((Array((1, 3)), Array((2, 2), 0, 3, "int")))],
    batching=("axis",),
)
def take_along_axis(xp: Any, x: Any, indices: Any, *, axis: int = -1) -> Any:
    """For each place of `indices` the element of `x` with that index along `axis`, such as `argsort` gives.

    But for `axis`, the shapes broadcast. The gradient of an element that is read several times is the sum of
    theirs.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> x = np.array([[3.0, 1.0], [2.0, 4.0]])
    >>> autodiff.ops.take_along_axis(x, np.argsort(x), axis=-1)
    array([[1., 3.],
           [2., 4.]])
    """
    indices = _integers("take_along_axis", indices, xp)
    return xp.take_along_axis(x, indices, axis=axis)


def _put_along_axis_vjp_x(g: Any, indices: Any, axis: int) -> Any:
    return put_along_axis(g, indices, 0.0, axis=axis)


def _put_along_axis_vjp_values(g: Any, values_shape: Any, indices: Any, axis: int, xp: Any) -> Any:
    indices = _integers("put_along_axis", indices, _own_xp(indices))
    index = _along(g.shape, indices, normal_axis("put_along_axis", axis, len(g.shape)))
    # Of several writes to one place only the last counts.
    return _sum_to(xp.where(last_write(g, index=index), getitem(g, index=index), 0.0), values_shape, xp)


def _put_along_axis_batching(x: Any, indices: Any, values: Any, axis: int) -> Any:
    n = len(x.shape)
    if hasattr(values, "shape"):
        values = reshape(values, shape=(values.shape[0], *(1,) * (n - len(values.shape)), *values.shape[1:]))
    return put_along_axis(x, indices, values, axis=shifted(axis, n - 1))


@primitive(
    vjps={"x": _put_along_axis_vjp_x, "indices": None, "values": _put_along_axis_vjp_values},
    samples=[
        Sample((Array((4,)), Array((3,), 0, 4, "int"), Array((3,)))),
        Sample((Array((2, 3)), Array((2, 2), -3, 3, "int"), Array((2, 1)))),
        Sample((Array((2, 3)), Array((2, 2), -3, 3, "int"), Array((2,)))),
        Sample((Array((3, 2)), Array((1, 2), 0, 3, "int"), Array(())), {"axis": 0}),
        Sample((Array((3, 2)), Array((2, 1), 0, 3, "int"), Array((2, 2))), {"axis": 0}),
        Sample((Array((3,)), Array((1,), 0, 3, "int"), 0.5)),
        Sample((Array((3,), kind="complex"), Array((2,), 0, 3, "int"), Array((2,), kind="complex"))),
    ],
    batching=_put_along_axis_batching,
)
def put_along_axis(xp: Any, x: Any, indices: Any, values: Any, *, axis: int = -1) -> Any:
    """A copy of `x` in which the element with each of `indices` along `axis` is the one of `values`.

    But for `axis`, the shapes broadcast, and `values` to that of `indices`. What is overwritten gets no
    gradient. Where a place is named twice, the last write wins and it alone gets the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.put_along_axis(np.zeros((2, 3)), np.array([[1], [2]]), 5.0, axis=1)
    array([[0., 5., 0.],
           [0., 0., 5.]])
    """
    indices = _integers("put_along_axis", indices, xp)
    return setitem(x, values, index=_along(x.shape, indices, normal_axis("put_along_axis", axis, len(x.shape))))
