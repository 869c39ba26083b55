"""NumPy's functions that insert, delete, choose and pad, and its signatures of statistics and sequences.

- `FUNCTIONS`: what `autodiff.numpy` has of them, by NumPy's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autodiff.composed import array_of, atleast_2d, shape_of, shipped
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.padding import pad
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import ravel, refuse_options, spelling
from autodiff.standard import standard
from autodiff.value import unwrap

__all__ = ["FUNCTIONS"]


# ---- joining ---------------------------------------------------------------------------------------------------


def block(arrays: Any) -> Any:
    """``numpy.block``: the innermost lists are joined along the last axis, those around them along the one before."""

    def depth_of(part: Any) -> int:
        return 1 + max([depth_of(p) for p in part], default=0) if isinstance(part, list) else 0

    depth = depth_of(arrays)

    def leaves(part: Any) -> list[Any]:
        return [leaf for p in part for leaf in leaves(p)] if isinstance(part, list) else [array_of(part)]

    ndim = max([depth, *[len(shape_of(a)) for a in leaves(arrays)]])

    def join(part: Any, level: int) -> Any:
        if not isinstance(part, list):
            a = array_of(part)
            return standard.reshape(a, shape=(1,) * (ndim - len(shape_of(a))) + shape_of(a))
        if not part:
            raise ArgumentError("block takes lists that are not empty")
        return shipped("concat")(*[join(p, level - 1) for p in part], axis=-level)

    return join(arrays, depth)


# ---- cutting ---------------------------------------------------------------------------------------------------


def _places(size: int, obj: Any) -> list[int]:
    """Return the places that an int, a slice, a mask or a list names, counted from the front."""
    if isinstance(obj, slice):
        return list(range(*obj.indices(size)))
    listed = obj.tolist() if hasattr(obj, "tolist") else obj
    listed = [listed] if isinstance(listed, int) and not isinstance(listed, bool) else list(listed)
    if listed and all(isinstance(i, bool) for i in listed):
        return [i for i, chosen in enumerate(listed) if chosen]
    wrong = [i for i in listed if not -size <= i <= size]
    if wrong:
        raise ArgumentError(f"the index {wrong[0]} is out of bounds for an axis of size {size}")
    return [int(i) + size if i < 0 else int(i) for i in listed]


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """``numpy.delete``: of the flattened array without an axis."""
    arr, axis = (ravel(arr), 0) if axis is None else (arr, axis)
    size = shape_of(arr)[axis]
    gone = {*_places(size, obj)}
    if size in gone:
        raise ArgumentError(f"the index {size} is out of bounds for an axis of size {size}")
    before = (slice(None),) * (axis % len(shape_of(arr)))
    return arr[(*before, [i for i in range(size) if i not in gone])]


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """``numpy.insert``: into the flattened array without an axis, before the places that `obj` names."""
    arr, axis = (ravel(arr), 0) if axis is None else (arr, axis)
    shape = shape_of(arr)
    axis %= len(shape)
    places = _places(shape[axis], obj)
    values = array_of(values)
    if isinstance(obj, int) and len(shape_of(values)) == len(shape):
        places = places * shape_of(values)[axis]
    if isinstance(obj, int) and 0 < len(shape_of(values)) < len(shape) and axis:
        values = shipped("expand_dims")(values, axis=axis - len(shape))
    inserted = _broadcast(values, (*shape[:axis], len(places), *shape[axis + 1 :]))
    joined = shipped("concat")(arr, standard.astype(inserted, dtype=arr.dtype), axis=axis)
    # Where each is to come from: what is inserted at one place keeps its order.
    order = sorted([(i, 1, i) for i in range(shape[axis])] + [(p, 0, shape[axis] + k) for k, p in enumerate(places)])
    before = (slice(None),) * axis
    return joined[(*before, [source for _, _, source in order])]


def _broadcast(x: Any, shape: tuple[int, ...]) -> Any:
    return registry.op("autodiff.broadcast_to")(x, shape=shape)


# ---- turning ---------------------------------------------------------------------------------------------------


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """``numpy.rot90``."""
    first, second = axes
    turned = m
    if k % 4 in (1, 2):
        turned = shipped("flip")(turned, axis=second)
    if k % 4 in (2, 3):
        turned = shipped("flip")(turned, axis=first if k % 4 == 2 else second)
    if k % 2:
        turned = shipped("swapaxes")(m if k % 4 == 3 else turned, axis1=first, axis2=second)
        turned = shipped("flip")(turned, axis=second) if k % 4 == 3 else turned
    return turned


def diag(v: Any, k: int = 0) -> Any:
    """``numpy.diag``: the diagonal of a matrix, or a matrix of the diagonal."""
    shape = shape_of(v)
    if len(shape) == 2:
        return shipped("diagonal")(v, offset=k)
    if len(shape) != 1:
        raise ArgumentError(f"diag takes one or two dimensions; v has shape {shape}")
    n = shape[0] + abs(k)
    start = k if k >= 0 else -k * n
    flat = shipped("scatter_add")(v, shape=(n * n,), index=(slice(start, start + shape[0] * (n + 1), n + 1),))
    return standard.reshape(flat, shape=(n, n))


# ---- choosing --------------------------------------------------------------------------------------------------


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """``numpy.select``: for each element the choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ArgumentError(f"select was given {len(condlist)} conditions and {len(choicelist)} choices")
    y = default
    for condition, choice in reversed([*zip(condlist, choicelist, strict=True)]):
        y = shipped("where")(condition, choice, y)
    return y


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """``numpy.compress``: of the flattened array without an axis."""
    refuse_options("compress", out=out)
    a, axis = (ravel(a), 0) if axis is None else (a, axis)
    places = _places(
        shape_of(a)[axis], [bool(c) for c in (condition.tolist() if hasattr(condition, "tolist") else condition)]
    )
    return a[(*(slice(None),) * (axis % len(shape_of(a))), places)]


def extract(condition: Any, arr: Any) -> Any:
    """``numpy.extract``."""
    return compress(ravel(array_of(condition)), ravel(arr))


# ---- products, statistics, sequences -----------------------------------------------------------------------------


def vdot(a: Any, b: Any) -> Any:
    """``numpy.vdot``: of the flattened arrays."""
    return shipped("vecdot")(ravel(array_of(a)), ravel(array_of(b)))


def matvec(x1: Any, x2: Any) -> Any:
    """``numpy.matvec``."""
    return shipped("squeeze")(standard.matmul(x1, shipped("expand_dims")(x2, axis=-1)), axis=-1)


def vecmat(x1: Any, x2: Any) -> Any:
    """``numpy.vecmat``: the vector is conjugated."""
    return shipped("squeeze")(standard.matmul(shipped("expand_dims")(standard.conj(x1), axis=-2), x2), axis=-2)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """``numpy.average``; if they are asked to be `returned`, with the sums of the weights."""
    if weights is None:
        y = standard.mean(a, axis=axis, keepdims=keepdims)
        if not returned:
            return y
        count = math.prod(shape_of(a)) // max(math.prod(shape_of(y)), 1)
        return y, _broadcast(standard.astype(array_of(float(count)), dtype=y.dtype), shape_of(y))
    y = shipped("average")(a, weights, axis=axis, keepdims=keepdims)
    if not returned:
        return y
    total = standard.sum(weights, axis=axis if shape_of(weights) == shape_of(a) else None, keepdims=keepdims)
    return y, _broadcast(total, shape_of(y))


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """``numpy.percentile``."""
    refuse_options("percentile", out=out)
    return _quantile(a, q, 100, axis, keepdims, method)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """``numpy.quantile``."""
    refuse_options("quantile", out=out)
    return _quantile(a, q, 1, axis, keepdims, method)


def _quantile(a: Any, q: Any, whole: int, axis: Any, keepdims: bool, method: str) -> Any:
    """Return the quantiles of one share `q` of the `whole`, or of an array of them."""
    if getattr(q, "requires_grad", False):
        raise ArgumentTypeError("quantiles are not differentiable with respect to q; give a number, or q.detach()")
    op, options = shipped("quantile"), {"axis": axis, "keepdims": keepdims, "method": method}
    shape = shape_of(q) if isinstance(q, list | tuple) or hasattr(q, "shape") else ()
    if not shape:
        q = unwrap(q)
        return op(a, q=(q.item() if hasattr(q, "item") else q) / whole, **options)
    y = op(a, q=tuple(share / whole for share in unwrap(ravel(array_of(q))).tolist()), **options)
    return standard.reshape(y, shape=(*shape, *shape_of(y)[1:])) if len(shape) > 1 else y


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """``numpy.cov``, differentiable by the variables and by `aweights`."""
    x = _variables(m, y, rowvar)
    x = x if dtype is None else standard.astype(x, dtype=dtype)
    correction = (0 if bias else 1) if ddof is None else ddof
    if fweights is None and aweights is None:
        return shipped("cov")(x, rowvar=rowvar, correction=correction)
    x = atleast_2d(x)
    x = x if rowvar or len(shape_of(m)) == 1 else shipped("matrix_transpose")(x)
    given = {"fweights": fweights, "aweights": aweights}
    weights = {name: array_of(w) for name, w in given.items() if w is not None}
    for name, w in weights.items():
        if shape_of(w) != shape_of(x)[1:]:
            raise ArgumentError(f"cov: {name} has shape {shape_of(w)} for {shape_of(x)[1]} observations")
    w = standard.multiply(*weights.values()) if len(weights) == 2 else next(iter(weights.values()))
    total = standard.sum(w)
    lost = correction if aweights is None else standard.sum(w * aweights) / total * correction
    x = x - standard.sum(x * w, axis=1, keepdims=True) / total
    y = standard.matmul(x * w, shipped("matrix_transpose")(standard.conj(x))) / (total - lost)
    return standard.reshape(y, shape=()) if shape_of(y) == (1, 1) else y


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """``numpy.corrcoef``."""
    return shipped("corrcoef")(_variables(x, y, rowvar), rowvar=rowvar)


def _variables(m: Any, y: Any, rowvar: bool) -> Any:
    if y is None:
        return m
    if rowvar or len(shape_of(m)) == 1:
        return shipped("concat")(atleast_2d(m), atleast_2d(y), axis=0)
    return shipped("concat")(m, y, axis=1)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """``numpy.trapezoid``."""
    return shipped("trapezoid")(y, dx if x is None else x, axis=axis)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """``numpy.diff``."""
    shape = shape_of(a)
    axis %= len(shape)
    unit = (*shape[:axis], 1, *shape[axis + 1 :])
    parts = [
        end if end is a or shape_of(end) else _broadcast(array_of(end), unit)
        for end in (prepend, a, append)
        if end is not None
    ]
    return shipped("diff")(shipped("concat")(*parts, axis=axis) if len(parts) > 1 else a, n=n, axis=axis)


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """``numpy.convolve``."""
    return shipped("convolve")(a, v, mode=mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """``numpy.correlate``."""
    return shipped("correlate")(a, v, mode=mode)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """``numpy.interp``; with a `period` the ends are joined, and `left` and `right` mean nothing."""
    if period is not None:
        x, xp, fp = array_of(x) % period, array_of(xp) % period, array_of(fp)
        order = shipped("argsort")(unwrap(xp), axis=0)
        xp, fp = xp[order], fp[order]
        xp = shipped("concat")(xp[-1:] - period, xp, xp[:1] + period)
        return shipped("interp")(x, xp, shipped("concat")(fp[-1:], fp, fp[:1]))
    y = shipped("interp")(x, xp, fp)
    if left is not None:
        y = shipped("where")(standard.less(x, xp[0]), left, y)
    return y if right is None else shipped("where")(standard.greater(x, xp[-1]), right, y)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """``numpy.cross``."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = (shipped("moveaxis")(x, source=n, destination=-1) for x, n in ((a, axisa), (b, axisb)))
    y = shipped("cross")(a, b, axis=-1)
    # Of vectors in a plane there is the third component alone.
    return shipped("moveaxis")(y, source=-1, destination=axisc) if shape_of(a)[-1] == 3 else y


_WRITTEN = (
    *(block, pad, delete, insert, rot90, diag, select, compress, extract, vdot, matvec, vecmat),
    *(average, percentile, quantile, cov, corrcoef, trapezoid, diff, convolve, correlate, interp, cross),
)

_SIGNATURES = {
    "median": "median(a, axis, out, overwrite_input, keepdims)",
    "ptp": "ptp(a, axis, out, keepdims)",
    "nanmax": "nanmax(a, axis, out, keepdims)",
    "nanmin": "nanmin(a, axis, out, keepdims)",
    "nanprod": "nanprod(a, axis, dtype, out, keepdims)",
    "nanvar": "nanvar(a, axis, dtype, out, ddof=correction, keepdims, correction)",
    "nanstd": "nanstd(a, axis, dtype, out, ddof=correction, keepdims, correction)",
}

#: All of them, by NumPy's name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: spelled(spelling(name, text)) for name, text in _SIGNATURES.items()},
    **{function.__name__: spelled(function) for function in _WRITTEN},
}
