"""NumPy's signatures over ops: arguments by position, other names, other defaults.

- `FUNCTIONS`: what `autodiff.numpy` has beside the ops themselves and the functions written out there.

Most are rows of a table; written out is what does more than rename.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autodiff.composed import COMPOSED, array_of, shape_of, shipped, subscripts_of
from autodiff.errors import ArgumentError, ArgumentTypeError, nearest
from autodiff.partial_reductions import PARTIAL, partial_reduction
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.standard import standard
from autodiff.value import Value, unwrap

__all__ = ["FUNCTIONS", "LAST_AXES", "plain", "refuse_options", "spelling"]


def refuse_options(name: str, **given: Any) -> None:
    """Refuse NumPy's rarer keywords, by name."""
    for keyword, value in given.items():
        if value is not None and value is not False:
            instead = nearest(keyword, ("axis",)) or " Leave it out."
            raise ArgumentTypeError(f"{name}({keyword}=...) is not supported for Values.{instead}")


def stack(arrays: Any, axis: int = 0, out: Any = None, **rest: Any) -> Any:
    """``numpy.stack``."""
    refuse_options("stack", out=out, **rest)
    return shipped("stack")(*arrays, axis=axis)


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """``numpy.hstack``: joined along the second axis, vectors along their only one."""
    refuse_options("hstack", casting=None if casting == "same_kind" else casting)
    arrays = [ravel(a) if len(shape_of(a)) == 0 else a for a in tup]
    joined = shipped("concat")(*arrays, axis=min(1, len(shape_of(arrays[0])) - 1))
    return joined if dtype is None else standard.astype(joined, dtype=dtype)


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """``numpy.vstack``: joined along the first axis, vectors as rows."""
    refuse_options("vstack", casting=None if casting == "same_kind" else casting)
    joined = shipped("concat")(*[standard.reshape(a, shape=(1, -1)) if len(shape_of(a)) < 2 else a for a in tup])
    return joined if dtype is None else standard.astype(joined, dtype=dtype)


def ravel(a: Any, order: str = "C") -> Any:
    """``numpy.ravel``, in C or Fortran order."""
    if order == "F":
        a = standard.permute_dims(array_of(a), axes=tuple(range(len(shape_of(a))))[::-1])
    elif order != "C":
        raise ArgumentError(f"ravel(order={order!r}) is not supported for Values; only 'C' and 'F'")
    return standard.reshape(a, shape=(-1,))


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """``numpy.meshgrid``; `sparse` ones have the size 1 but for the axis of their own."""
    grids = shipped("meshgrid")(*xi, indexing=indexing)
    if not sparse:
        return grids
    places = [1, 0, *range(2, len(xi))] if indexing == "xy" and len(xi) > 1 else range(len(xi))
    return tuple(
        standard.reshape(x, shape=tuple(n if i == own else 1 for i, n in enumerate(shape_of(grid))))
        for x, own, grid in zip(xi, places, grids, strict=True)
    )


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """``numpy.cumsum``: of the flattened array without an axis."""
    refuse_options("cumsum", out=out)
    return _running("cumulative_sum", a if dtype is None else standard.astype(a, dtype=dtype), axis)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """``numpy.cumprod``: of the flattened array without an axis."""
    refuse_options("cumprod", out=out)
    return _running("cumulative_prod", a if dtype is None else standard.astype(a, dtype=dtype), axis)


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """``numpy.clip``, between numbers or arrays."""
    refuse_options("clip", out=out)
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if all(bound is None or isinstance(bound, int | float) for bound in (low, high)):
        return shipped("clip")(a, min=low, max=high)
    a = a if low is None else shipped("maximum")(a, low)
    return a if high is None else shipped("minimum")(a, high)


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """``numpy.round``."""
    refuse_options("round", out=out)
    if decimals == 0:
        return shipped("round")(a)
    a, scale = array_of(a), 10.0 ** abs(decimals)
    y = shipped("round")(a * scale) / scale if decimals > 0 else shipped("round")(a / scale) * scale
    return standard.astype(y, dtype=a.dtype) if y.dtype != a.dtype else y  # integers stay integers


def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """``numpy.around``."""
    return round(a, decimals, out)


def where(condition: Any, *choices: Any) -> Any:
    """``numpy.where``: with two choices, or for a condition alone the places where it holds."""
    if not choices:
        condition = unwrap(array_of(condition))
        return registry.asarray(condition)[1].xp.nonzero(condition)
    if len(choices) != 2:
        raise ArgumentError("where takes a condition and two choices, or a condition alone; it was given one choice")
    return shipped("where")(condition, *choices)


def sort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """``numpy.sort``: of the flattened array if `axis` is None."""
    return _ordered("sort", a, axis, order, stable, descending)


def argsort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """``numpy.argsort``: of the flattened array if `axis` is None."""
    return _ordered("argsort", a, axis, order, stable, descending)


def _ordered(name: str, a: Any, axis: int | None, order: Any, stable: bool | None, descending: bool) -> Any:
    refuse_options(name, order=order)
    options = {} if stable is None else {"stable": stable}
    a, axis = (ravel(a), 0) if axis is None else (a, axis)
    return shipped(name)(a, axis=axis, descending=descending, **options)


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    """``numpy.take``: indices out of bounds are an error, or with `mode` wrapped or clipped."""
    refuse_options("take", out=out)
    if mode in ("wrap", "clip"):
        size = math.prod(shape_of(a)) if axis is None else shape_of(a)[axis]
        if not size:
            raise ArgumentError(
                f"take(mode={mode!r}) brings indices into an axis of {size} elements, where there are none"
            )
        places = array_of(indices)
        if registry.kind(places.dtype, registry.asarray(unwrap(places))[1]) != "int":
            places = standard.astype(places, dtype="int64")
        indices = places % size if mode == "wrap" else shipped("clip")(places, min=0, max=size - 1)
    elif mode != "raise":
        raise ArgumentError(f"take: mode is 'raise', 'wrap' or 'clip'; it was given {mode!r}")
    return shipped("take")(a, indices, axis=axis)


def _running(name: str, a: Any, axis: int | None) -> Any:
    return shipped(name)(ravel(a) if axis is None else a, axis=0 if axis is None else axis)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``numpy.linalg.norm``: of vectors, and of matrices where there are two axes."""
    ndim = len(shape_of(x))
    two = axis if isinstance(axis, tuple) else (0, 1)
    if ord in (None, "fro") or len(two) != 2 or (axis is None and ndim != 2) or isinstance(axis, int):
        return shipped("norm")(x, axis=axis, keepdims=keepdims, ord=2 if ord in (None, "fro") else ord)
    y = shipped("matrix_norm")(shipped("moveaxis")(x, source=two, destination=(-2, -1)), ord=ord)
    return shipped("expand_dims")(y, axis=tuple(sorted(a % ndim for a in two))) if keepdims else y


def dot(a: Any, b: Any) -> Any:
    """``numpy.dot``: over the last axis of `a` and the last but one of `b`."""
    if not shape_of(a) or not shape_of(b):
        return standard.multiply(a, b)
    return shipped("tensordot")(a, b, axes=(-1, -min(2, len(shape_of(b)))))


def inner(a: Any, b: Any) -> Any:
    """``numpy.inner``: over the last axes of both."""
    if not shape_of(a) or not shape_of(b):
        return standard.multiply(a, b)
    return shipped("tensordot")(a, b, axes=(-1, -1))


def einsum(subscripts: Any, *operands: Any, out: Any = None, optimize: Any = True) -> Any:
    """``numpy.einsum``, in both of its forms; it is always optimized."""
    refuse_options("einsum", out=out)
    if not isinstance(subscripts, str):
        subscripts, operands = subscripts_of((subscripts, *operands))
    return shipped("einsum")(*operands, subscripts=subscripts)


#: NumPy's functions whose arguments are those of an op, by position or under other names: the op and NumPy's
#: parameters, arrays first, ``numpy=op`` where the names of attributes differ.
_SIGNATURES = {
    "prod": "prod(a, axis, dtype, out, keepdims, initial, where)",
    "min": "min(a, axis, out, keepdims, initial, where)",
    "amin": "min(a, axis, out, keepdims, initial, where)",
    "std": "std(a, axis, dtype, out, ddof=correction, keepdims, correction)",
    "var": "var(a, axis, dtype, out, ddof=correction, keepdims, correction)",
    "nansum": "nansum(a, axis, dtype, out, keepdims, initial, where)",
    "nanmean": "nanmean(a, axis, dtype, out, keepdims)",
    "vector_norm": "norm(x, axis, keepdims, ord)",
    "argmax": "argmax(a, axis, out, keepdims)",
    "argmin": "argmin(a, axis, out, keepdims)",
    "all": "all(a, axis, out, keepdims, initial, where)",
    "any": "any(a, axis, out, keepdims, initial, where)",
    "count_nonzero": "count_nonzero(a, axis, keepdims)",
    "cumulative_sum": "cumulative_sum(x, axis, dtype, out, include_initial)",
    "cumulative_prod": "cumulative_prod(x, axis, dtype, out, include_initial)",
    "searchsorted": "searchsorted(a, v, side, sorter)",
    "matrix_transpose": "matrix_transpose(x)",
    "moveaxis": "moveaxis(a, source, destination)",
    "swapaxes": "swapaxes(a, axis1, axis2)",
    "expand_dims": "expand_dims(a, axis)",
    "squeeze": "squeeze(a, axis)",
    "unstack": "unstack(x, axis)",
    "flip": "flip(m, axis)",
    "roll": "roll(a, shift, axis)",
    "repeat": "repeat(a, repeats, axis)",
    "tile": "tile(A, reps=repetitions)",
    "tril": "tril(m, k)",
    "triu": "triu(m, k)",
    "diagonal": "diagonal(a, offset, axis1, axis2)",
    "trace": "trace(a, offset, axis1, axis2, dtype, out)",
    "take_along_axis": "take_along_axis(arr, indices, axis)",
    "put_along_axis": "put_along_axis(arr, indices, values, axis)",
    "outer": "outer(a, b, out)",
    "tensordot": "tensordot(a, b, axes)",
    "kron": "kron(a, b)",
    "vecdot": "vecdot(x1, x2, axis)",
}

#: NumPy's defaults for the ops that take the last two axes by default, as the standard and numpy.linalg do.
LAST_AXES: dict[str, dict[str, Any]] = {
    "diagonal": {"axis1": 0, "axis2": 1},
    "trace": {"axis1": 0, "axis2": 1},
}

#: What has no meaning for a Value, or only one.
_REFUSED = ("out", "mode", "order", "mean")
_PART = ("where", "initial")
_IGNORED = ("kind", "overwrite_input")


def spelling(name: str, text: str) -> Callable[..., Any]:
    """Return NumPy's function of this name over an op."""
    op_name, _, listed = text.removesuffix(")").partition("(")
    parameters = dict(part.partition("=")[::2] for part in listed.split(", "))

    def call(*args: Any, **given: Any) -> Any:
        if len(args) > len(parameters):
            raise ArgumentTypeError(f"{name} takes at most {len(parameters)} arguments; it was given {len(args)}")
        op: Any = shipped(op_name)
        bound = dict(zip(parameters, args, strict=False))
        if bound.keys() & given.keys():
            raise ArgumentTypeError(f"{name} was given {min(bound.keys() & given.keys())!r} twice")
        bound |= given
        part = {key: bound.pop(key) for key in _PART if key in bound and op_name in PARTIAL}
        refuse_options(name, **{key: bound.pop(key) for key in (*_REFUSED, *_PART) if key in bound})
        arrays = [bound.pop(key) for key in [*parameters][: len(op.inputs)] if key in bound]
        dtype = bound.pop("dtype", None)
        if dtype is not None:
            arrays[0] = standard.astype(arrays[0], dtype=dtype)
        attrs = {parameters.get(key) or key: plain(bound[key]) for key in bound if key not in _IGNORED}
        attrs = {**LAST_AXES.get(name, {}), **attrs}
        if not part:
            return op(*arrays, **attrs)
        return partial_reduction(op_name, op, arrays[0], part.get("where"), part.get("initial"), **attrs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``numpy.{name}({', '.join(parameters)})``."
    return call


def plain(option: Any) -> Any:
    """Return an option as ops take it: tuples and Python's numbers, where NumPy takes lists and arrays."""
    if isinstance(option, list | tuple):
        return tuple(plain(item) for item in option)
    # A Value is left to the op, which refuses one that needs a gradient.
    return plain(option.tolist()) if hasattr(option, "tolist") and type(option) is not Value else option


_WRITTEN = (
    *(stack, hstack, vstack, ravel, meshgrid, cumsum, cumprod, clip, round, around, where, sort, argsort, take),
    *(norm, dot, inner, einsum),
)

#: All of them, by NumPy's name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: spelled(spelling(name, text)) for name, text in _SIGNATURES.items()},
    **{function.__name__: spelled(function) for function in _WRITTEN},
    **{name: spelled(function) for name, function in COMPOSED.items()},
}
