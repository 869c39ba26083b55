"""Reading, writing and adding by index with NumPy: faster than the generic kernels, and in a fixed order.

`numpy.add.at` is fast for one array of indices into one dimension alone, and several times slower otherwise:
`scatter_add` brings every index into that form, and only assigns what comes first at its place; a loop that Numba
compiles needs neither.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from autodiff_numpy.blocks import is_plain
from autodiff_numpy.loops import bounds, loop, pays

__all__ = ["last_write", "scatter_add", "setitem"]

#: From so many elements in a row it pays to look which rows are the first at their place.
_ROW = 4

#: From so many it pays to add row by row.
_LONG_ROW = 256


def _arrays(index: Any) -> tuple[Any, ...]:
    """Return an index with its lists as arrays, and its arrays in C order.

    Of several writes to one place NumPy keeps the last in the order in which the arrays lie in memory.
    """
    return tuple(_array(i) if isinstance(i, np.ndarray | tuple | list) else i for i in index)


def _array(i: Any) -> Any:
    if np.ndim(i) == 0:
        return i
    array = np.ascontiguousarray(i)
    # An empty list names no place; NumPy makes an array of floats of it.
    return array if array.size or isinstance(i, np.ndarray) else array.astype(np.intp)


def setitem(x: Any, value: Any, *, index: Any) -> Any:
    """A copy of `x` with `value` at `index`; of several writes to one place the last in C order stays."""
    out = np.array(x)
    out[_arrays(index)] = value
    return out


def last_write(x: Any, *, index: Any) -> Any:
    """Whether each element of ``x[index]`` is the last one at its place, in C order."""
    index = _arrays(index)
    order = np.zeros(x.shape, np.intp)
    shape = order[index].shape
    turn = np.arange(prod(shape)).reshape(shape)
    order[index] = turn
    return order[index] == turn


def scatter_add(x: Any, *, shape: Any, index: Any) -> Any:
    """Zeros of `shape` with `x` added at `index`, in the order of `numpy.add.at`; half precision in float32."""
    index = _arrays(index)
    masks = [i for i in index if isinstance(i, np.ndarray) and i.dtype == bool]
    arrays = [i for i in index if isinstance(i, np.ndarray)]
    if len(arrays) <= len(masks) <= 1:  # slices and numbers, perhaps one mask: nothing occurs twice
        out = np.zeros(shape, x.dtype)
        out[index] = x
        return out
    if any(i is Ellipsis for i in index):
        lead = len(shape)
    else:
        lead = sum(i.ndim if isinstance(i, np.ndarray) and i.dtype == bool else i is not None for i in index)
    count, row = prod(shape[:lead]), prod(shape[lead:])
    # Where each row of the result goes, whatever the index is made of.
    places = np.arange(count).reshape(shape[:lead])[index].reshape(-1)
    rows = x.reshape(places.size, row)
    # Half precision would count to 2048 only.
    total = np.zeros((count, row), np.float32 if x.dtype == np.float16 else x.dtype)
    if row >= _ROW:
        if pays(rows.size) and is_plain(rows):
            seen, high = np.zeros(count, np.bool_), bounds(rows.dtype)[1]
            if loop("add_rows", rows.size)(rows, places, seen, high, total):
                return total.reshape(shape)
        first = _first(places, count)
        once, again = np.flatnonzero(first), np.flatnonzero(~first)
        total[places[once]] = rows.take(once, axis=0)
        places, rows = places[again], rows.take(again, axis=0)
    if row >= _LONG_ROW:
        for place, values in zip(places.tolist(), rows, strict=True):
            sums = total[place]
            np.add(sums, values, out=sums)
    else:
        if row != 1:
            places = (places[:, None] * row + np.arange(row)).reshape(-1)
        np.add.at(total.reshape(-1), places, rows.reshape(-1).astype(total.dtype, copy=False))
    return total.reshape(shape).astype(x.dtype, copy=False)


def _first(places: Any, count: int) -> Any:
    """Return for each place whether it occurs there for the first time."""
    turn = np.arange(places.size)
    owner = np.empty(count, np.intp)
    owner[places[::-1]] = turn[::-1]
    return owner[places] == turn
