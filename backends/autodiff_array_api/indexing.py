"""Reading and writing by index, in functions that the array API standard has.

The standard knows slices, and lists of integers for one axis after another; NumPy, and so autodiff, much more, and
libraries whose arrays cannot be written to know no assignment at all. An index is not differentiable, so it is
resolved on the host, once for each call, into *places*: the numbers of the elements that it names, in C order. The
rest is `take`, `argsort` and `searchsorted` on the device.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

__all__ = ["FUNCTIONAL", "KERNELS"]


def _is_basic(index: tuple[Any, ...]) -> bool:
    """Tell whether an index consists of slices forwards, integers, None and Ellipsis; some libraries know no others."""
    forwards = (isinstance(i, slice) and (i.step is None or i.step > 0) for i in index)
    return all(i is None or i is Ellipsis or type(i) is int or ok for i, ok in zip(index, forwards, strict=True))


def _whole(shape: tuple[int, ...], index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a basic index as the standard wants it: all axes named, and no slice that ends outside."""
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    rest = len(shape) - sum(i is not None and i is not Ellipsis for i in index)
    parts: list[Any] = []
    axis = 0
    for i in index:
        if isinstance(i, slice):
            parts.append(slice(*i.indices(shape[axis])))
        else:
            parts.append(i)
        axis += rest if i is Ellipsis else i is not None
    return tuple(parts)


def _places(backend: Any, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """Return on the host the number of each element that `index` names in an array of `shape`."""
    host = tuple(_host(backend, i) for i in index)
    return np.arange(prod(shape), dtype=np.int64).reshape(shape)[host]


def _host(backend: Any, i: Any) -> Any:
    if backend.recognises(type(i)):
        return backend.to_numpy(i)
    if not isinstance(i, tuple | list):
        return i
    found = np.asarray(i)
    return found if found.size else found.astype(np.intp)  # NumPy has an empty list for floating numbers


def _getitem(backend: Any, x: Any, *, index: Any) -> Any:
    xp = backend.xp
    if _is_basic(index):
        return x[_whole(x.shape, index)]
    places = _places(backend, x.shape, index)
    taken = xp.take(xp.reshape(x, (-1,)), xp.asarray(places.ravel()), axis=0)
    return xp.reshape(taken, places.shape)


def _scatter_add(backend: Any, x: Any, *, shape: Any, index: Any) -> Any:
    """Zeros of `shape` with `x` added at `index`, in a fixed order: as a tree over what belongs to one place."""
    xp = backend.xp
    places = _places(backend, shape, index)
    size = prod(shape)
    values = xp.reshape(xp.broadcast_to(x, places.shape), (-1,))
    if size == 0 or places.size == 0:
        return xp.zeros(shape, dtype=x.dtype)
    keys, order = _sorted(xp, places)
    # Half precision would lose what it adds up.
    narrow = x.dtype == getattr(xp, "float16", None)
    values = xp.take(xp.astype(values, xp.float32) if narrow else values, order, axis=0)
    values = _sums_of_runs(xp, keys, values, longest=int(np.unique(places, return_counts=True)[1].max()))
    ends, found = _ends_of_runs(xp, keys, size)
    total = xp.where(found, xp.take(values, ends, axis=0), xp.zeros((), dtype=values.dtype))
    return xp.reshape(xp.astype(total, x.dtype), shape)


def _sums_of_runs(xp: Any, keys: Any, values: Any, longest: int) -> Any:
    """Return for each element the sum of its run of equal keys up to it, in log2(longest) steps (Hillis and Steele, 1986)."""
    step = 1
    while step < longest:
        same = keys[step:] == keys[:-step]
        before = xp.where(same, values[:-step], xp.zeros((), dtype=values.dtype))
        values = xp.concat((values[:step], values[step:] + before))
        step *= 2
    return values


def _ends_of_runs(xp: Any, keys: Any, size: int) -> tuple[Any, Any]:
    """Return for each place where its run of sorted `keys` ends, and whether it has one."""
    numbers = xp.arange(size, dtype=xp.int64)
    after = xp.searchsorted(keys, numbers, side="right")
    ends = xp.where(after > 0, after - 1, xp.zeros_like(after))
    return ends, xp.take(keys, ends, axis=0) == numbers


def _sorted(xp: Any, places: Any) -> tuple[Any, Any]:
    """Return places in order, and the order, stable; both on the device."""
    flat = places.ravel()
    order = np.argsort(flat, stable=True)
    return xp.asarray(flat[order]), xp.asarray(order.astype(np.int64))


def _setitem(backend: Any, x: Any, value: Any, *, index: Any) -> Any:
    """A copy of `x` with `value` at `index`; of several writes to one place the last in C order stays."""
    xp = backend.xp
    places = _places(backend, x.shape, index)
    if places.size == 0:
        return xp.asarray(x, copy=True)
    if not hasattr(value, "dtype"):
        value = xp.full((), value, dtype=x.dtype)
    values = xp.reshape(xp.broadcast_to(xp.astype(value, x.dtype), places.shape), (-1,))
    keys, order = _sorted(xp, places)
    ends, found = _ends_of_runs(xp, keys, prod(x.shape))
    written = xp.take(xp.take(values, order, axis=0), ends, axis=0)
    return xp.reshape(xp.where(found, written, xp.reshape(x, (-1,))), x.shape)


def _last_write(backend: Any, x: Any, *, index: Any) -> Any:
    """Tell for each element of ``x[index]`` whether it is the last one at its place."""
    places = _places(backend, x.shape, index)
    last = np.zeros(prod(x.shape), np.int64)
    turn = np.arange(places.size, dtype=np.int64).reshape(places.shape)
    np.maximum.at(last, places, turn)
    return backend.xp.asarray(last[places] == turn)


def _pad(backend: Any, x: Any, *, pad_width: Any, constant_values: Any) -> Any:
    """A margin around `x`, written at the places that are inside of it."""
    xp = backend.xp
    inside = np.pad(np.zeros(x.shape, bool), pad_width, constant_values=True)  # also checks the widths
    empty = np.zeros(x.shape, np.asarray(constant_values).dtype)
    filled = xp.astype(xp.asarray(np.pad(empty, pad_width, constant_values=constant_values)), x.dtype)
    return _setitem(backend, filled, xp.reshape(x, (-1,)), index=(~inside,))


#: Kernels whose first argument is the backend, by the id of the op.
KERNELS = {
    "autodiff_ops.getitem": _getitem,
    "autodiff_ops.scatter_add": _scatter_add,
    "autodiff_ops.setitem": _setitem,
    "autodiff_ops.last_write": _last_write,
}

#: Those for libraries whose arrays cannot be written to.
FUNCTIONAL = {"autodiff_ops.pad": _pad}
