"""NumPy's functions of numerical work: differences, polynomials, order statistics, holes, counts.

Each is composed of ops, hence differentiable to any order and on every backend.

- `FUNCTIONS`: what `autodiff.numpy` has of them, by NumPy's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autodiff.arranging import diag, diff
from autodiff.backend import Backend
from autodiff.composed import append, array_of, shape_of, shipped
from autodiff.creation import creator
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import cumprod, cumsum, plain, ravel, refuse_options
from autodiff.standard import standard
from autodiff.value import unwrap as raw_of

__all__ = ["FUNCTIONS"]


def _along(axis: int, *index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, *index)


def _axis_of(name: str, shape: tuple[int, ...], axis: Any) -> int:
    if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        raise ArgumentError(f"{name}: axis {axis!r} does not exist in shape {shape}")
    return axis % len(shape)


def _axes_of(name: str, shape: tuple[int, ...], axis: Any) -> list[int]:
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    return [_axis_of(name, shape, a) for a in axes]


def _backend_of(x: Any) -> Backend:
    return registry.asarray(raw_of(x))[1]


def _kind(x: Any) -> str:
    return registry.kind(x.dtype, _backend_of(x))


# ---- differences -----------------------------------------------------------------------------------------------


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """``numpy.gradient``: central differences inside, of the first or second order at the ends.

    Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comp. 51 (1988).
    """
    f = array_of(f)
    if _kind(f) not in ("float", "complex"):
        f = standard.astype(f, dtype="float64")
    shape = shape_of(f)
    axes = _axes_of("gradient", shape, axis)
    if len(varargs) not in (0, 1, len(axes)):
        raise ArgumentTypeError(f"gradient takes no spacing, one, or one for each of {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: edge_order is {edge_order!r}; expected 1 or 2")
    spacings = varargs or (1.0,)
    spacings = spacings * len(axes) if len(spacings) == 1 else spacings
    found = [_slope(f, a, h, edge_order) for a, h in zip(axes, spacings, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(f: Any, axis: int, spacing: Any, edge_order: int) -> Any:
    shape = shape_of(f)
    n = shape[axis]
    if n <= edge_order:
        raise ArgumentError(f"gradient takes at least {edge_order + 1} elements along an axis; axis {axis} has {n}")
    given = shape_of(spacing)
    if len(given) > 1 or (given and given[0] != n):
        raise ArgumentError(f"gradient: the places along axis {axis} have shape {given}; expected ({n},) or a number")

    def at(*index: int | None) -> Any:
        return f[_along(axis, slice(*index))]

    def one(place: int) -> Any:
        return f[_along(axis, slice(place, place + 1 or None))]

    if given:
        d = standard.reshape(diff(array_of(spacing)), shape=(-1,) + (1,) * (len(shape) - axis - 1))
        before, after = d[:-1], d[1:]
        inside = (
            at(0, -2) * (-after / (before * (before + after)))
            + at(1, -1) * ((after - before) / (before * after))
            + at(2, None) * (before / (after * (before + after)))
        )
        first, second, last, previous = d[:1], d[1:2], d[-1:], d[-2:-1]
    else:
        inside = (at(2, None) - at(0, -2)) / (2.0 * spacing)
        first = second = last = previous = spacing
    if edge_order == 1:
        start, end = (one(1) - one(0)) / first, (one(-1) - one(-2)) / last
    else:
        start = (
            one(0) * (-(2.0 * first + second) / (first * (first + second)))
            + one(1) * ((first + second) / (first * second))
            - one(2) * (first / (second * (first + second)))
        )
        end = (
            one(-3) * (last / (previous * (previous + last)))
            - one(-2) * ((last + previous) / (previous * last))
            + one(-1) * ((2.0 * last + previous) / (last * (previous + last)))
        )
    return shipped("concat")(start, inside, end, axis=axis)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """``numpy.ediff1d``: the differences of the flattened array."""
    y = diff(ravel(array_of(ary)))
    y = y if to_begin is None else append(ravel(array_of(to_begin)), y)
    return y if to_end is None else append(y, ravel(array_of(to_end)))


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2.0 * math.pi) -> Any:
    """``numpy.unwrap``: each element moved by whole periods, hence with the derivative 1."""
    p = array_of(p)
    axis = _axis_of("unwrap", shape_of(p), axis)
    half = period / 2.0
    step = diff(p, axis=axis)
    whole = shipped("floor")((step + half) / period)
    # A step of half a period stays one, and does not become one back.
    turns = shipped("where")((step - whole * period == -half) & (step > 0), whole - 1.0, whole)
    limit = half if discont is None or discont < half else discont
    turns = shipped("where")(shipped("abs")(step) < limit, 0.0, turns)
    moved = p[_along(axis, slice(1, None))] - cumsum(turns, axis=axis) * period
    return shipped("concat")(p[_along(axis, slice(None, 1))], moved, axis=axis)


# ---- polynomials -----------------------------------------------------------------------------------------------


def polyval(p: Any, x: Any) -> Any:
    """``numpy.polyval``, by Horner's rule: the coefficient of the highest power first."""
    p, x = array_of(p), array_of(x)
    if len(shape_of(p)) != 1:
        raise ArgumentError(f"polyval takes a vector of coefficients; p has shape {shape_of(p)}")
    y = raw_of(creator("zeros_like")(x))
    for k in range(shape_of(p)[0]):
        y = y * x + p[k]
    return y


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803  # NumPy's name
    """``numpy.vander``: the powers of a vector as columns."""
    x = array_of(x)
    if len(shape_of(x)) != 1:
        raise ArgumentError(f"vander takes a vector; x has shape {shape_of(x)}")
    columns = shape_of(x)[0] if N is None else N
    powers: list[Any] = [raw_of(creator("ones_like")(x))]
    while len(powers) < columns:
        powers.append(powers[-1] * x)
    powers = powers[:columns]
    if not powers:
        return standard.reshape(x, shape=(-1, 1))[:, :0]
    return shipped("stack")(*(powers if increasing else powers[::-1]), axis=1)


# ---- order -----------------------------------------------------------------------------------------------------


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """``numpy.partition``: all of it sorted, which is one of the orders that NumPy allows itself."""
    a, axis, _ = _places("partition", a, kth, axis, order)
    return shipped("sort")(a, axis=axis)


def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """``numpy.argpartition``: all of it sorted, which is one of the orders that NumPy allows itself."""
    a, axis, _ = _places("argpartition", a, kth, axis, order)
    return shipped("argsort")(a, axis=axis)


def _places(name: str, a: Any, kth: Any, axis: int | None, order: Any) -> tuple[Any, int, Any]:
    refuse_options(name, order=order)
    a, axis = (ravel(array_of(a)), 0) if axis is None else (array_of(a), axis)
    axis = _axis_of(name, shape_of(a), axis)
    size, listed = shape_of(a)[axis], plain(kth)
    for k in listed if isinstance(listed, tuple) else (listed,):
        if not isinstance(k, int) or not -size <= k < size:
            raise ArgumentError(f"{name}: kth is {kth!r} for an axis of size {size}; expected one of its places")
    return a, axis, listed


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """``numpy.unique``: a gradient goes to the first of the elements that are alike."""
    ar = array_of(ar)
    options: dict[str, Any] = {"return_inverse": return_inverse, "return_counts": return_counts}
    if axis is not None:
        options["axis"] = axis
    if not equal_nan:
        options["equal_nan"] = equal_nan
    _, places, *rest = _backend_of(ar).xp.unique(raw_of(ar), return_index=True, **options)
    found = ravel(ar)[places] if axis is None else ar[_along(axis % len(shape_of(ar)), places)]
    told = ([places] if return_index else []) + rest
    return (found, *told) if told else found


class UniqueAllResult(NamedTuple):
    """What `unique_all` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` returns."""

    values: Any
    counts: Any


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` returns."""

    values: Any
    inverse_indices: Any


def unique_all(x: Any) -> UniqueAllResult:
    """``numpy.unique_all``: the standard's `unique`, to which no NaN is like another."""
    return UniqueAllResult(*unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False))


def unique_counts(x: Any) -> UniqueCountsResult:
    """``numpy.unique_counts``."""
    return UniqueCountsResult(*unique(x, return_counts=True, equal_nan=False))


def unique_inverse(x: Any) -> UniqueInverseResult:
    """``numpy.unique_inverse``."""
    return UniqueInverseResult(*unique(x, return_inverse=True, equal_nan=False))


def unique_values(x: Any) -> Any:
    """``numpy.unique_values``."""
    return unique(x, equal_nan=False)


# ---- holes -----------------------------------------------------------------------------------------------------


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """``numpy.nan_to_num``: the derivative is 0 where something is replaced."""
    if copy is not True:
        raise ArgumentError("nan_to_num(copy=False) would write into its argument; a Value is not written into")
    x = array_of(x)
    kind = _kind(x)
    if kind == "complex":
        parts = [nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf) for part in (x.real, x.imag)]
        return parts[0] + parts[1] * 1j
    if kind != "float":
        return standard.positive(x) if kind == "int" else x
    largest = float(_backend_of(x).xp.finfo(x.dtype).max)
    where = shipped("where")
    y = where(shipped("isnan")(x), nan, x)
    y = where(x == math.inf, largest if posinf is None else posinf, y)
    return where(x == -math.inf, -largest if neginf is None else neginf, y)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """``numpy.nancumsum``."""
    return cumsum(_filled(a, 0.0), axis=axis, dtype=dtype, out=out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """``numpy.nancumprod``."""
    return cumprod(_filled(a, 1.0), axis=axis, dtype=dtype, out=out)


def _filled(a: Any, number: float) -> Any:
    a = array_of(a)
    return shipped("where")(shipped("isnan")(a), number, a)


def nanargmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """``numpy.nanargmax``; where all are NaN there is an error."""
    return _place("argmax", a, axis, out, keepdims, -math.inf)


def nanargmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """``numpy.nanargmin``; where all are NaN there is an error."""
    return _place("argmin", a, axis, out, keepdims, math.inf)


def _place(name: str, a: Any, axis: int | None, out: Any, keepdims: bool, number: float) -> Any:
    refuse_options(f"nan{name}", out=out)
    if bool(shipped("any")(shipped("all")(shipped("isnan")(array_of(a)), axis=axis))):
        raise ArgumentError(f"nan{name} was given a slice that is NaN throughout, of which no element is the answer")
    return shipped(name)(_filled(a, number), axis=axis, keepdims=keepdims)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """``numpy.nanquantile``, by linear interpolation; NaN where all are."""
    refuse_options("nanquantile", out=out, method=None if method == "linear" else method)
    shares = plain(q)
    for share in shares if isinstance(shares, tuple) else (shares,):
        if not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
            raise ArgumentError(f"nanquantile: q is {share!r}; expected numbers from 0 to 1")
    a = array_of(a)
    shape = shape_of(a)
    axes = _axes_of("nanquantile", shape, axis)
    kept = [n for n in range(len(shape)) if n not in axes]
    rows = shipped("moveaxis")(a, source=tuple(kept + axes), destination=tuple(range(len(shape))))
    left = tuple(shape[n] for n in kept)
    rows = shipped("sort")(standard.reshape(rows, shape=(*left, math.prod([shape[n] for n in axes]))), axis=-1)
    if not shape_of(rows)[-1]:
        raise ArgumentError(f"nanquantile takes the quantile of no elements: shape {shape}, axis {axis!r}")
    # NaNs are sorted to the end; how many numbers there are says where among them the quantile lies.
    count = shipped("count_nonzero")(shipped("logical_not")(shipped("isnan")(rows)), axis=-1, keepdims=True)
    last = shipped("maximum")(count - 1, 0)

    def one(share: float) -> Any:
        # In double precision: in half there are no places beyond 2048.
        place = standard.astype(last, dtype="float64") * share
        below = standard.astype(shipped("floor")(place), dtype=count.dtype)
        above = shipped("minimum")(below + 1, last)
        low, high = (shipped("take_along_axis")(rows, n, axis=-1) for n in (below, above))
        part = standard.astype(place - standard.astype(below, dtype="float64"), dtype=rows.dtype)
        y = shipped("where")(part == 0, low, low + (high - low) * part)
        return standard.reshape(
            y, shape=tuple(1 if n in axes else s for n, s in enumerate(shape)) if keepdims else left
        )

    return shipped("stack")(*[one(s) for s in shares]) if isinstance(shares, tuple) else one(shares)


def nanpercentile(a: Any, q: Any, *args: Any, **options: Any) -> Any:
    """``numpy.nanpercentile``, by linear interpolation; NaN where all are."""
    share = plain(q)
    return nanquantile(a, tuple(s / 100 for s in share) if isinstance(share, tuple) else share / 100, *args, **options)


def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """``numpy.nanmedian``; NaN where all are."""
    return nanquantile(a, 0.5, axis, out, keepdims=keepdims)


# ---- signs, parts and counts -------------------------------------------------------------------------------------


def isposinf(x: Any, out: Any = None) -> Any:
    """``numpy.isposinf``."""
    refuse_options("isposinf", out=out)
    return standard.equal(_real("isposinf", x), math.inf)


def isneginf(x: Any, out: Any = None) -> Any:
    """``numpy.isneginf``."""
    refuse_options("isneginf", out=out)
    return standard.equal(_real("isneginf", x), -math.inf)


def _real(name: str, x: Any) -> Any:
    x = array_of(x)
    if _kind(x) == "complex":
        raise ArgumentTypeError(f"{name} is for real numbers; it was given dtype {x.dtype}")
    return x


def _floating(x: Any) -> Any:
    """Return integers and truths as floating-point numbers."""
    return x if _kind(x) in ("float", "complex") else standard.astype(x, dtype="float64")


def fabs(x: Any) -> Any:
    """``numpy.fabs``: the absolute value of real numbers, as a floating-point number."""
    return standard.abs(_floating(_real("fabs", x)))


def rint(x: Any) -> Any:
    """``numpy.rint``: the nearest integer, as a floating-point number."""
    return shipped("round")(_floating(array_of(x)))


def float_power(x1: Any, x2: Any) -> Any:
    """``numpy.float_power``: a power in double precision."""
    x1, x2 = array_of(x1), array_of(x2)
    dtype = "complex128" if "complex" in (_kind(x1), _kind(x2)) else "float64"
    return standard.pow(standard.astype(x1, dtype=dtype), standard.astype(x2, dtype=dtype))


def modf(x: Any) -> tuple[Any, Any]:
    """``numpy.modf``: the fraction and the whole part, both with the sign of `x`."""
    whole = shipped("trunc")(x)
    fraction = shipped("where")(shipped("isinf")(x), 0.0, x - shipped("where")(shipped("isinf")(x), 0.0, whole))
    return shipped("copysign")(fraction, x), whole


def divmod(x1: Any, x2: Any) -> tuple[Any, Any]:
    """``numpy.divmod``."""
    return standard.floor_divide(x1, x2), standard.remainder(x1, x2)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """``numpy.bincount``: differentiable with respect to the weights."""
    places = raw_of(x)
    if isinstance(places, list | tuple) and places:  # of Python's numbers, which would become floating ones
        places = registry.asarray(places, dtype="int64" if all(type(n) is int for n in places) else None)[0]
    places = array_of(places)
    if _kind(places) != "int" or len(shape_of(places)) != 1:
        raise ArgumentTypeError(f"bincount takes a vector of integers; x has shape {shape_of(places)} {places.dtype}")
    if shape_of(places)[0] and int(places.min()) < 0:
        raise ArgumentError("bincount takes integers from 0 on; x has negative ones")
    size = max(int(places.max()) + 1 if shape_of(places)[0] else 0, minlength)
    each = standard.positive(places * 0 + 1) if weights is None else weights
    if shape_of(each) != shape_of(places):
        raise ArgumentError(f"bincount: the weights have shape {shape_of(each)}; expected {shape_of(places)} as x")
    return shipped("scatter_add")(each, shape=(size,), index=(places,))


def diagflat(v: Any, k: int = 0) -> Any:
    """``numpy.diagflat``: a matrix with the flattened array as its diagonal."""
    return diag(ravel(array_of(v)), k)


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, **rest: Any) -> Any:
    """``numpy.logspace``."""
    return standard.pow(base, creator("linspace")(start, stop, num, endpoint=endpoint, **rest))


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """``numpy.apply_along_axis``: one call for each vector; `autodiff.vmap` makes one for all."""
    arr = array_of(arr)
    shape = shape_of(arr)
    axis = _axis_of("apply_along_axis", shape, axis)
    count = math.prod([n for i, n in enumerate(shape) if i != axis])
    rows = standard.reshape(shipped("moveaxis")(arr, source=axis, destination=-1), shape=(count, shape[axis]))
    if not shape_of(rows)[0]:
        raise ArgumentError(f"apply_along_axis has no vector to call the function with: shape {shape}, axis {axis}")
    found = [array_of(func1d(rows[k], *args, **kwargs)) for k in range(shape_of(rows)[0])]
    of_one: Sequence[int] = shape_of(found[0])
    y = standard.reshape(
        shipped("stack")(*found), shape=tuple(s for n, s in enumerate(shape) if n != axis) + tuple(of_one)
    )
    moved = tuple(range(len(shape) - 1, len(shape) - 1 + len(of_one)))
    return shipped("moveaxis")(y, source=moved, destination=tuple(range(axis, axis + len(of_one))))


_WRITTEN = (
    *(gradient, ediff1d, unwrap, polyval, vander, partition, argpartition),
    *(unique, unique_all, unique_counts, unique_inverse, unique_values),
    *(nan_to_num, nancumsum, nancumprod, nanargmax, nanargmin, nanquantile, nanpercentile, nanmedian),
    *(isposinf, isneginf, fabs, rint, float_power, modf, divmod, bincount, diagflat, logspace, apply_along_axis),
)

#: All of them, by NumPy's name.
FUNCTIONS: dict[str, Callable[..., Any]] = {function.__name__: spelled(function) for function in _WRITTEN}
