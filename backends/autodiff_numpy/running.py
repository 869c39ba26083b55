"""Running sums and products, orders and places along an axis of large arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_numpy import blocks
from autodiff_numpy.blocks import in_blocks, is_large, lanes, rows
from autodiff_numpy.loops import bounds, loop
from autodiff_numpy.reductions import is_normal

__all__ = ["KERNELS", "RULES"]

Function = Callable[..., Any]


def _sizes(x: Any, axis: Any) -> tuple[int, int, int] | None:
    return lanes(x.shape, axis) if is_large(x) and isinstance(axis, int) else None


_LOOPS = {np.add: "running_sum", np.multiply: "running_product"}


def _forward(ufunc: Any, x: Any, y: Any) -> None:
    """Accumulate over the middle one of three axes into `y`; either may be turned round along it."""
    if x.shape[2] == 1 and loop(_LOOPS[ufunc], x.size)(x[:, :, 0], bounds(x.dtype)[1], y[:, :, 0]):
        return
    if x.shape[2] < blocks.MANY:
        ufunc.accumulate(x, axis=1, out=y)
        return
    y[:, 0] = x[:, 0]
    for k in range(1, x.shape[1]):
        ufunc(y[:, k - 1], x[:, k], out=y[:, k])


def _lanes_of(sizes: tuple[int, int, int]) -> list[Any]:
    """Cut lanes for `_forward`: where it takes steps, these are as wide as can be."""
    before, along, after = sizes
    if after >= blocks.MANY:
        return [(slice(i, i + 1), slice(None)) for i in range(before)]
    # `accumulate` hands the interpreter to other threads only where it works on more than 500 lanes.
    least = min(-(-501 // after), before)
    step = max(least, *(i.stop - i.start for i in rows(before, along * after)))
    return [(slice(i, min(i + step, before)), slice(None)) for i in range(0, before, step)]


def _accumulation(ufunc: Any, name: str) -> Function:
    def kernel(x: Any, *, axis: int | None = None, include_initial: bool = False) -> Any:
        import autodiff_ops

        axis = 0 if axis is None and x.ndim == 1 else axis
        sizes = _sizes(x, axis)
        if sizes is None or include_initial:
            return getattr(autodiff_ops, name).function(np, x, axis=axis, include_initial=include_initial)
        y = np.empty(x.shape, x.dtype)
        xs, ys = x.reshape(sizes), y.reshape(sizes)
        in_blocks(lambda block: _forward(ufunc, xs[block[0], :, block[1]], ys[block[0], :, block[1]]), _lanes_of(sizes))
        return y

    return kernel


def _cumulative_sum_rule(g: Any, axis: Any, include_initial: bool) -> Any:
    from autodiff_ops.cumulative import cumulative_sum_vjp

    axis = 0 if axis is None and g.ndim == 1 else axis
    sizes = _sizes(g, axis)
    if sizes is None or include_initial:
        return cumulative_sum_vjp(g, axis, include_initial)
    dx = np.empty(g.shape, g.dtype)
    back = (slice(None), slice(None, None, -1))
    gs, dxs = g.reshape(sizes)[back], dx.reshape(sizes)[back]
    in_blocks(lambda block: _forward(np.add, gs[block[0], :, block[1]], dxs[block[0], :, block[1]]), _lanes_of(sizes))
    return dx


def _cumulative_prod_rule(g: Any, x: Any, y: Any, axis: Any, include_initial: bool) -> Any:
    """Divide the sums of what comes after by `x`, where that loses nothing."""
    from autodiff_ops.cumulative import cumulative_prod_vjp

    axis = 0 if axis is None and x.ndim == 1 else axis
    sizes = _sizes(x, axis)
    if sizes is None or include_initial or not is_large(x, y, g):
        return cumulative_prod_vjp(g, x, y, axis, include_initial, np)
    dx = np.empty(x.shape, x.dtype)
    gs, xs, ys, dxs = (a.reshape(sizes) for a in (g, x, y, dx))

    def work(block: Any) -> None:
        g, x, y, dx = parts = [a[block[0], :, block[1]] for a in (gs, xs, ys, dxs)]
        if x.shape[2] == 1:
            g, x, y, dx = (a[:, :, 0] for a in parts)
            if loop("running_product_rule", x.size)(g, x, y, *bounds(x.dtype)[:2], dx):
                return
            g, x, y, dx = parts
        if is_normal(y):
            _forward(np.add, np.multiply(g, y)[:, ::-1], dx[:, ::-1])
            dx /= x
        else:
            dx[...] = cumulative_prod_vjp(g, x, y, 1, False, np)

    in_blocks(work, _lanes_of(sizes))
    return dx


# ---- order ---------------------------------------------------------------------------------------------------


def _argsort(x: Any, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sort indices: descending ones of the array turned round, and turned round again, which keeps ties in order."""
    if descending:
        order = _ascending(np.flip(x, axis=axis), axis, stable)
        return x.shape[axis] - 1 - np.flip(order, axis=axis)
    return _ascending(x, axis, stable)


def _ascending(x: Any, axis: int, stable: bool) -> Any:
    if not stable:
        return np.argsort(x, axis=axis)
    if x.dtype != np.float32 or x.size < max(blocks.LARGE, 1) or not 0 < x.shape[axis] < 2**31:
        return np.argsort(x, axis=axis, stable=True)
    last = np.moveaxis(x, axis, -1)
    order = np.empty(last.shape, np.int64)
    width = last.shape[-1]
    flat, places = np.ascontiguousarray(last).reshape(-1, width), order.reshape(-1, width)

    def work(block: slice) -> None:
        _sort_keys(flat[block], places[block])

    in_blocks(work, rows(len(flat), width))
    return np.moveaxis(order, -1, axis)


def _sort_keys(x: Any, order: Any) -> None:
    """Sort rows by whole numbers: the bits of a number above its index, which makes any sort a stable one."""
    bits = (x + np.float32(0)).view(np.int32)  # 0.0 in place of -0.0, which is equal
    # All but the sign, turned round where that is negative, so that they grow with the number.
    np.bitwise_xor(bits, (bits >> 31) & np.int32(0x7FFFFFFF), out=bits)
    bits[x != x] = np.iinfo(np.int32).max  # NaN comes last
    order[...] = bits
    order <<= 32
    order |= np.arange(x.shape[1])
    order.sort(axis=1)
    order &= 0xFFFFFFFF


def _sort_rule(g: Any, x: Any, axis: int, descending: bool) -> Any:
    if x.size < max(blocks.LARGE, 1):
        from autodiff_ops.sorting import sort_vjp

        return sort_vjp(g, x, axis, descending)
    order = np.moveaxis(_argsort(x, axis=axis, descending=descending), axis, -1)
    dx = np.empty(x.shape, g.dtype)
    if x.flags.c_contiguous and axis % x.ndim == x.ndim - 1:
        into = dx
    else:
        into = np.empty(order.shape, g.dtype)
    _write_rows(into, order, np.moveaxis(g, axis, -1))
    if into is not dx:
        dx[...] = np.moveaxis(into, -1, axis)
    return dx


def _as_rows(a: Any) -> Any:
    return a.reshape(-1, a.shape[-1])


def _write_rows(into: Any, order: Any, values: Any) -> None:
    """Write along the last axis: one place for each value, none twice."""
    into, order, values = _as_rows(into), _as_rows(order), _as_rows(values)

    def work(block: slice) -> None:
        part = into[block]
        places = order[block] + np.arange(len(part))[:, None] * part.shape[1]
        part.reshape(-1)[places] = values[block]

    in_blocks(work, rows(*into.shape))


# ---- places --------------------------------------------------------------------------------------------------


def _take_along_axis(x: Any, indices: Any, *, axis: int = -1) -> Any:
    if not _along_rows(x, indices, axis):
        from autodiff_ops.indexing import take_along_axis

        return take_along_axis.function(np, x, indices, axis=axis)
    y = np.empty(indices.shape, x.dtype)
    xs, ys, places = _as_rows(x), _as_rows(y), _as_rows(indices)

    def work(block: slice) -> None:
        part = xs[block]
        if loop("take", part.size)(part, places[block], ys[block]):
            return
        # Their range has been checked; "raise" would go through a copy of the result.
        np.take(part.reshape(-1), _flat_places(places[block], part.shape[1], x.ndim - 1), out=ys[block], mode="wrap")

    in_blocks(work, rows(*places.shape))
    return y


def _flat_places(places: Any, width: int, axis: int) -> Any:
    """Return where places in rows of `width` elements are, counted from the first row's start.

    Raises
    ------
    IndexError
        One of them is beyond its row.
    """
    low, high = places.min(initial=0), places.max(initial=-1)
    if low < -width or high >= width:
        place = low if low < -width else high
        raise IndexError(f"index {place} is out of bounds for axis {axis} with size {width}")
    flat = np.add(places, np.arange(len(places))[:, None] * width, dtype=np.intp)
    if low < 0:
        flat[places < 0] += width
    return flat


def _along_rows(x: Any, indices: Any, axis: int) -> bool:
    """Tell whether whole numbers name places in long rows, one row of them for each row of `x`."""
    return bool(
        is_large(x)
        and isinstance(indices, np.ndarray)
        and indices.dtype.kind == "i"
        and indices.dtype.isnative
        and indices.ndim == x.ndim
        and axis in (-1, x.ndim - 1)
        and indices.shape[:-1] == x.shape[:-1]
        and indices.shape[-1] >= blocks.LONG
    )


def _take_along_axis_rule(g: Any, x_shape: Any, indices: Any, axis: int) -> Any:
    dx = np.empty(x_shape, g.dtype)
    if not _along_rows(dx, indices, axis) or not 0 < x_shape[-1] < 2**31:
        from autodiff_ops.indexing import take_along_axis_vjp

        return take_along_axis_vjp(g, x_shape, indices, axis)
    dxs, gs, places = _as_rows(dx), _as_rows(g), _as_rows(indices)
    width = x_shape[-1]

    def work(block: slice) -> None:
        part = dxs[block]
        if loop("add_at", part.size)(gs[block], places[block], bounds(g.dtype)[1], part):
            return
        part[...] = 0
        # In the order of the indices; of one dimension NumPy has a fast loop.
        np.add.at(part.reshape(-1), _flat_places(places[block], width, dx.ndim - 1).reshape(-1), gs[block].reshape(-1))

    in_blocks(work, rows(*dxs.shape))
    return dx


KERNELS: dict[str, Function] = {
    "autodiff_ops.cumulative_sum": _accumulation(np.add, "cumulative_sum"),
    "autodiff_ops.cumulative_prod": _accumulation(np.multiply, "cumulative_prod"),
    "autodiff_ops.argsort": _argsort,
    "autodiff_ops.take_along_axis": _take_along_axis,
}

#: One for each input; they name no more than the op's own.
RULES: dict[str, tuple[Any, ...]] = {
    "autodiff_ops.cumulative_sum": (_cumulative_sum_rule,),
    "autodiff_ops.cumulative_prod": (_cumulative_prod_rule,),
    "autodiff_ops.sort": (_sort_rule,),
    "autodiff_ops.take_along_axis": (_take_along_axis_rule, None),
}
