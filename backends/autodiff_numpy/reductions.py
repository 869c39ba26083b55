"""Reductions of large arrays, and ops that begin with one: blocks of lanes, each read once from memory.

A kernel here computes what the generic one does, and leaves to NumPy alone, or to the op's own rule, whatever is
small, of another dtype, or not in C order. The conformance kit and `tests/numpy_backend` compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_numpy import blocks
from autodiff_numpy.blocks import cut, in_blocks, is_large, is_plain, lanes, rows, vanishing
from autodiff_numpy.loops import bounds, loop, pays

__all__ = ["KERNELS", "RULES", "column_sums", "less", "times", "total"]

Function = Callable[..., Any]

#: The longest row that is summed as a product with ones: in longer ones the error would grow beyond that of
#: NumPy's pairwise sums.
_ROW = 4096

_ONES = {dtype: np.ones(_ROW, dtype) for dtype in (np.float32, np.float64)}


def total(part: Any) -> Any:
    """Sum an array of three axes over the middle one, which stays with size 1.

    Rows are summed as products with ones, by BLAS on one thread: four times faster than NumPy's sum.
    """
    if part.shape[2] == 1 and part.shape[1] <= _ROW and part.dtype.char in "fd":
        return np.vecdot(part[:, :, 0], _ONES[part.dtype.type][: part.shape[1]])[:, None, None]
    return part.sum(axis=1, keepdims=True)


def _rows(*parts: Any) -> list[Any] | None:
    """Return blocks of rows without their last axis, of size 1; None for other blocks, and such as no loop pays for."""
    return [part[:, :, 0] for part in parts] if parts[0].shape[2] == 1 and pays(parts[0].size) else None


def less(x: Any, column: Any, out: Any) -> None:
    """Fill `out` with `x` less a number for each lane."""
    parts = _rows(x, column, out)
    if parts is None or not loop("shift", x.size)(parts[0], parts[1][:, 0], bounds(x.dtype)[2], parts[2]):
        np.subtract(x, column, out)


def times(y: Any, column: Any) -> None:
    """Multiply `y`, of numbers up to 1, by a number for each lane."""
    parts = _rows(y, column)
    if parts is None or not loop("scale", y.size)(parts[1][:, 0], bounds(y.dtype)[1], parts[0]):
        np.multiply(y, column, y)


def exponential_sums(x: Any, top: Any) -> Any:
    """Sum ``exp(x - top)`` over the middle one of three axes; `top` is the largest number of each lane."""
    parts = _rows(x, top) if x.dtype == np.float32 else None
    if parts is not None:
        sums = np.empty(len(x), x.dtype)
        if loop("exponential_sums", x.size)(parts[0], parts[1][:, 0], bounds(x.dtype)[2], sums):
            return sums[:, None, None]
    e = np.empty_like(x)
    less(x, top, e)
    np.exp(e, e)
    return total(e)


def exponentials(x: Any, column: Any, factor: Any, out: Any) -> None:
    """Fill `out` with ``exp(x - column) * factor``, where `x` is no more than `column` but for rounding."""
    parts = _rows(x, column, factor, out) if x.dtype == np.float32 else None
    if parts is not None:
        x_rows, *columns, out_rows = parts
        if loop("exponentials", x.size)(x_rows, *(c[:, 0] for c in columns), bounds(x.dtype)[2], out_rows):
            return
    less(x, column, out)
    np.exp(out, out)
    times(out, factor)


def _by_blas(sums: Function) -> Any:
    """Return the sums that a function computes as products with ones; None if NumPy might warn of one.

    A product of a matrix and a vector takes a third of the time of NumPy's sum, and a tenth of it in narrow arrays:
    BLAS's threads wait actively for a while, and need not be woken.
    """
    with np.errstate(all="ignore"):
        y = sums()
    return y if np.isfinite(y).all() else None


def _row_sums(x: Any) -> Any:
    """Sum an array of two axes over the last, which is short; None if NumPy might warn of one."""
    return _by_blas(lambda: x @ _ONES[x.dtype.type][: x.shape[1]])


def column_sums(x: Any) -> Any:
    """Sum an array of two axes over the first: those of each block of rows, and then the blocks' sums."""
    if is_plain(x) and x.size:
        ones = _ONES[x.dtype.type]
        blocks_of_rows = [x[i : i + _ROW] for i in range(0, len(x), _ROW)]
        y = _by_blas(lambda: sum(ones[: len(block)] @ block for block in blocks_of_rows))
        if y is not None:
            return y
    parts = rows(*x.shape)
    if len(parts) < 2:
        return x.sum(axis=0)
    sums = np.empty((len(parts), x.shape[1]), x.dtype)
    in_blocks(lambda i: np.add.reduce(x[parts[i]], axis=0, out=sums[i]), range(len(parts)))
    return sums.sum(axis=0)


def dot(a: Any, b: Any) -> Any:
    """Sum ``a * b`` over the middle one of three axes, which stays with size 1."""
    if a.shape[2] == 1 and a.shape[1] <= _ROW:
        return np.vecdot(a[:, :, 0], b[:, :, 0])[:, None, None]
    return (a * b).sum(axis=1, keepdims=True)


def _product(part: Any) -> Any:
    """Multiply over the middle one of three axes; of rows their halves, as often as there are halves."""
    if part.shape[2] != 1:
        return np.multiply.reduce(part, axis=1, keepdims=True)
    row = part[:, :, 0]
    y = np.empty(len(row), row.dtype)
    if loop("product", row.size)(row, *bounds(row.dtype)[:2], y):
        return y[:, None, None]
    while row.shape[1] > 1:
        half = row.shape[1] // 2
        halves = np.multiply(row[:, :half], row[:, half : 2 * half])
        if row.shape[1] % 2:
            halves[:, 0] *= row[:, -1]
        row = halves
    return row[:, :, None]


def _extremum(ufunc: Any) -> Function:
    return lambda part: ufunc.reduce(part, axis=1, keepdims=True)


# ---- kernels -------------------------------------------------------------------------------------------------


def _shape(x: Any, axis: Any, keepdims: bool) -> tuple[int, ...]:
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)


def _sizes(x: Any, axis: Any) -> tuple[int, int, int] | None:
    """Return the sizes before, along and after `axis` if an array is worth the trouble and has several lanes."""
    if not is_large(x):
        return None
    sizes = lanes(x.shape, axis)
    return None if sizes is None or sizes[0] * sizes[2] < 2 else sizes


def _reduce(over: Function, x: Any, sizes: tuple[int, int, int]) -> Any:
    """Reduce the middle one of three axes by `over`."""
    y = np.empty((sizes[0], 1, sizes[2]), x.dtype)
    x = x.reshape(sizes)

    def work(block: Any) -> None:
        i, j = block
        y[i, :, j] = over(x[i, :, j])

    in_blocks(work, cut(*sizes))
    return y


def _totals(x: Any, sizes: tuple[int, int, int]) -> Any:
    """Sum the middle one of three axes: of whole rows, where it is the first, since halves of them take longer."""
    if sizes[0] == 1:
        return column_sums(x.reshape(sizes[1:]))
    y = _row_sums(x.reshape(sizes[:2])) if sizes[2] == 1 and sizes[1] <= _ROW else None
    return _reduce(total, x, sizes) if y is None else y


def _sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    sizes = _sizes(x, axis)
    if sizes is not None:
        return _totals(x, sizes).reshape(_shape(x, axis, keepdims))
    if x.dtype == np.float16:
        return x.sum(axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)
    if axis is None and not keepdims and is_large(x):
        return _everything(x)
    return x.sum(axis=axis, keepdims=keepdims)


def _everything(x: Any) -> Any:
    """Sum all of a large array: its blocks first."""
    flat, size = x.reshape(-1), blocks.BLOCK
    whole = x.size // size
    parts = np.empty(whole, x.dtype)

    def work(i: int) -> None:
        parts[i] = flat[i * size : (i + 1) * size].sum()

    in_blocks(work, range(whole))
    return parts.sum() + flat[whole * size :].sum()


def _mean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    sizes = _sizes(x, axis)
    if sizes is None:
        return x.mean(axis=axis, keepdims=keepdims)
    y = _totals(x, sizes)
    y /= sizes[1]
    return y.reshape(_shape(x, axis, keepdims))


def _reduction(over: Function, plain: Function) -> Function:
    def kernel(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        sizes = _sizes(x, axis)
        if sizes is not None:
            return _reduce(over, x, sizes).reshape(_shape(x, axis, keepdims))
        return plain(x, axis, keepdims)

    return kernel


def _plain_product(x: Any, axis: Any, keepdims: bool) -> Any:
    if x.dtype == np.float16:
        return x.prod(axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)
    return x.prod(axis=axis, keepdims=keepdims)


# ---- rules ---------------------------------------------------------------------------------------------------


def _column(y: Any, sizes: tuple[int, int, int]) -> Any:
    return y.reshape(sizes[0], 1, sizes[2])


def _extremum_rule(g: Any, x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    from autodiff_ops.reduction import extremum_vjp

    sizes = _sizes(x, axis)
    if sizes is None or g.dtype != x.dtype:
        return extremum_vjp(g, x, y, axis, keepdims, np)
    dx = np.empty(x.shape, x.dtype)
    xs, dxs, ys, gs = x.reshape(sizes), dx.reshape(sizes), _column(y, sizes), _column(g, sizes)

    def work(block: Any) -> None:
        i, j = block
        chosen = np.equal(xs[i, :, j], ys[i, :, j])
        part, most = dxs[i, :, j], sizes[1]
        # Floats count exactly up to 2**24, and are summed faster.
        ties = total(chosen.astype(x.dtype)) if most < 2**24 else np.count_nonzero(chosen, axis=1, keepdims=True)
        part[...] = 0
        np.copyto(part, (gs[i, :, j] / ties).astype(x.dtype, copy=False), where=chosen)

    in_blocks(work, cut(*sizes))
    return dx


def _prod_rule(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    from autodiff_ops.reduction import prod_vjp

    sizes = _sizes(x, axis)
    if sizes is None or g.dtype != x.dtype:
        return prod_vjp(g, x, axis, keepdims, np)
    dx = np.empty(x.shape, x.dtype)
    xs, dxs, gs = x.reshape(sizes), dx.reshape(sizes), _column(g, sizes)

    def work(block: Any) -> None:
        i, j = block
        part, share = xs[i, :, j], gs[i, :, j]
        parts = _rows(part, share, dxs[i, :, j])
        if parts is not None:
            low, high, _ = bounds(x.dtype)
            if loop("product_rule", part.size)(parts[1][:, 0], parts[0], low, high, parts[2]):
                return
        y = _product(part)
        if is_normal(y):
            np.divide(share * y, part, out=dxs[i, :, j])
        else:
            dxs[i, :, j] = prod_vjp(share, part, 1, True, np)

    in_blocks(work, cut(*sizes))
    return dx


def is_normal(y: Any) -> bool:
    """Tell whether products are neither zero nor infinite nor so small that digits are lost: one may divide them."""
    size = np.abs(y)
    low, high, _ = bounds(y.dtype)
    return bool(size.min() >= low and size.max() <= high)


# ---- logarithms of sums --------------------------------------------------------------------------------------


def _log_total(part: Any) -> Any:
    top = part.max(axis=1, keepdims=True)
    top[~np.isfinite(top)] = 0
    y = exponential_sums(part, top)
    with np.errstate(divide="ignore"):  # of nothing but -inf it is -inf
        np.log(y, y)
    y += top
    return y


def _logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    from autodiff_ops.reduction import logsumexp

    sizes = _sizes(x, axis)
    if sizes is None:
        return logsumexp.function(np, x, axis=axis, keepdims=keepdims)
    return _reduce(_log_total, x, sizes).reshape(_shape(x, axis, keepdims))


def _logsumexp_rule(g: Any, x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    from autodiff_ops.reduction import logsumexp_vjp

    sizes = _sizes(x, axis)
    if sizes is None or g.dtype != x.dtype:
        return logsumexp_vjp(g, x, y, axis, keepdims, np)
    dx = np.empty(x.shape, x.dtype)
    xs, dxs, gs = x.reshape(sizes), dx.reshape(sizes), _column(g, sizes)
    ys = _column(np.where(y == -np.inf, 0, y).astype(x.dtype, copy=False), sizes)

    def work(block: Any) -> None:
        i, j = block
        exponentials(xs[i, :, j], ys[i, :, j], gs[i, :, j], dxs[i, :, j])

    in_blocks(work, cut(*sizes))
    return dx


# ---- softmax -------------------------------------------------------------------------------------------------


def _over_lanes(block_of: Function, plain: Function) -> Function:
    """Return a function of arrays of one shape, and of `axis`, that works on blocks of lanes if they are large.

    ``block_of(out, *parts)`` fills a block; ``plain(*arrays, axis)`` serves everything else.
    """

    def call(*arrays: Any, axis: Any = -1) -> Any:
        first = arrays[0]
        sizes = _sizes(first, axis)
        if sizes is None or not is_large(*arrays):
            return plain(*arrays, axis)
        y = np.empty(first.shape, first.dtype)
        ys, parts = y.reshape(sizes), [a.reshape(sizes) for a in arrays]

        def work(block: Any) -> None:
            i, j = block
            block_of(ys[i, :, j], *(part[i, :, j] for part in parts))

        in_blocks(work, cut(*sizes))
        return y

    return call


def _sum_of(t: Any, axis: Any) -> Any:
    """Sum over `axis`; of half precision in float32, which it stays: the sum may be more than float16 holds."""
    return t.sum(axis=axis, keepdims=True, dtype=np.float32 if t.dtype == np.float16 else None)


def _shifted(x: Any, axis: Any) -> Any:
    # Whole numbers become floating ones, as they do in `numpy.exp`.
    dtype = None if x.dtype.kind == "f" else np.result_type(x, np.float16)
    return np.subtract(x, x.max(axis=axis, keepdims=True), dtype=dtype)


def _plain_softmax(x: Any, axis: Any) -> Any:
    if x.size == 0:
        return np.zeros_like(x)
    e = _shifted(x, axis)
    np.exp(e, out=e)
    e /= _sum_of(e, axis)
    return e


def _softmax_block(y: Any, x: Any) -> None:
    top = x.max(axis=1, keepdims=True)
    parts = _rows(x, top, y)
    if parts is None or not _softmax_rows(*parts):
        np.subtract(x, top, y)
        np.exp(y, y)
        y *= 1 / total(y)


def _softmax_rows(x: Any, top: Any, y: Any) -> bool:
    """Fill `y` by loops, unless they find something unusual."""
    _, high, limit = bounds(x.dtype)
    if x.dtype == np.float32:
        return bool(loop("softmax", x.size)(x, top[:, 0], limit, y))
    if not loop("shift", x.size)(x, top[:, 0], limit, y):
        return False
    np.exp(y, y)
    return bool(loop("share_out", y.size)(high, y))


def _plain_softmax_rule(g: Any, y: Any, axis: Any) -> Any:
    t = np.multiply(g, y)
    t -= y * _sum_of(t, axis)
    return t


def _softmax_rule_block(dx: Any, g: Any, y: Any) -> None:
    parts = _rows(g, y, dx)
    if parts is not None and loop("softmax_rule", y.size)(*parts[:2], bounds(y.dtype)[1], parts[2]):
        return
    np.subtract(g, dot(g, y), dx)
    dx *= y


def _plain_log_softmax(x: Any, axis: Any) -> Any:
    if x.size == 0:
        return np.zeros_like(x)
    t = _shifted(x, axis)
    t -= np.log(_sum_of(np.exp(t), axis))
    return t


def _log_softmax_block(y: Any, x: Any) -> None:
    top = x.max(axis=1, keepdims=True)
    less(x, top, y)
    y -= np.log(exponential_sums(x, top))


def _plain_log_softmax_rule(g: Any, y: Any, axis: Any) -> Any:
    t = np.exp(y)
    t *= _sum_of(g, axis)
    return np.subtract(g, t, out=t)


def _log_softmax_rule_block(dx: Any, g: Any, y: Any) -> None:
    along = total(g)
    exponentials(y, np.zeros_like(along), along, dx)
    np.subtract(g, dx, dx)


_softmax = _over_lanes(_softmax_block, _plain_softmax)
_softmax_pull = _over_lanes(_softmax_rule_block, _plain_softmax_rule)
_log_softmax_pull = _over_lanes(_log_softmax_rule_block, _plain_log_softmax_rule)


def _softmax_rule(g: Any, y: Any, axis: Any) -> Any:
    return _softmax_pull(g, y, axis=axis)


def _softmin_rule(g: Any, y: Any, axis: Any) -> Any:
    t = _softmax_pull(g, y, axis=axis)
    return np.negative(t, out=t)


def _log_softmax_rule(g: Any, y: Any, axis: Any) -> Any:
    return _log_softmax_pull(g, y, axis=axis)


KERNELS: dict[str, Function] = {
    "autodiff_ops.sum": _sum,
    "autodiff_ops.mean": _mean,
    "autodiff_ops.max": _reduction(_extremum(np.maximum), lambda x, axis, keep: x.max(axis=axis, keepdims=keep)),
    "autodiff_ops.min": _reduction(_extremum(np.minimum), lambda x, axis, keep: x.min(axis=axis, keepdims=keep)),
    "autodiff_ops.prod": _reduction(_product, _plain_product),
    "autodiff_ops.logsumexp": vanishing(_logsumexp),
    "autodiff_activations.softmax": vanishing(_softmax),
    "autodiff_activations.softmin": vanishing(lambda x, *, axis=-1: _softmax(np.negative(x), axis=axis)),
    "autodiff_activations.log_softmax": vanishing(_over_lanes(_log_softmax_block, _plain_log_softmax)),
}

#: One for each input; they name no more than the op's own.
RULES: dict[str, tuple[Function, ...]] = {
    "autodiff_ops.max": (_extremum_rule,),
    "autodiff_ops.min": (_extremum_rule,),
    "autodiff_ops.prod": (_prod_rule,),
    "autodiff_ops.logsumexp": (vanishing(_logsumexp_rule),),
    "autodiff_activations.softmax": (vanishing(_softmax_rule),),
    "autodiff_activations.softmin": (vanishing(_softmin_rule),),
    "autodiff_activations.log_softmax": (vanishing(_log_softmax_rule),),
}
