"""``numpy.pad``: by numbers, by ramps, by the array's own elements, or by what they are on the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.composed import array_of, shape_of, shipped
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.registry import registry
from autodiff.spellings import plain
from autodiff.standard import standard
from autodiff.value import unwrap

__all__ = ["pad"]

_MIRRORED = ("edge", "reflect", "symmetric", "wrap")
_STATISTICS = ("maximum", "mean", "median", "minimum")


def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """``numpy.pad``, differentiable in each of its modes with a name."""
    known = {"constant": "constant_values", "linear_ramp": "end_values", **dict.fromkeys(_STATISTICS, "stat_length")}
    if not isinstance(mode, str) or mode not in (*known, *_MIRRORED):
        raise ArgumentError(f"pad(mode={mode!r}) is not supported for Values; only {', '.join((*known, *_MIRRORED))}")
    for option in options:
        if option != known.get(mode):
            raise ArgumentTypeError(f"pad(mode={mode!r}, {option}=...) is not supported for Values; leave it out")
    given = plain(options.get(known.get(mode, ""), None if mode in _STATISTICS else 0.0))
    if mode == "constant":
        return shipped("pad")(array, pad_width=plain(pad_width), constant_values=given)
    array = array_of(array)
    shape = shape_of(array)
    widths = _pairs("pad_width", plain(pad_width), shape)
    of_ends = _pairs(known.get(mode, ""), given, shape, whole=mode in _STATISTICS)
    for axis, (width, ends) in enumerate(zip(widths, of_ends, strict=True)):
        if width == (0, 0):
            continue
        if not shape[axis]:
            raise ArgumentError(f"pad(mode={mode!r}) takes elements from axis {axis}, which has none")
        if mode in _MIRRORED:
            array = array[(*(slice(None),) * axis, _mirrored(shape[axis], *width, mode))]
        else:
            made = (
                _ramps(array, axis, width, ends) if mode == "linear_ramp" else _filled(array, axis, width, ends, mode)
            )
            array = shipped("concat")(*made, axis=axis)
    return array


def _pairs(name: str, given: Any, shape: tuple[int, ...], whole: bool = False) -> tuple[tuple[Any, Any], ...]:
    """Return two numbers for each axis, as NumPy broadcasts them; whole ones from 0 on, or None, for widths."""
    pairs = given if isinstance(given, tuple) else ((given, given),)
    pairs = pairs if pairs and isinstance(pairs[0], tuple) else (pairs,)
    pairs = tuple([(p[0], p[-1]) for p in (pairs * len(shape) if len(pairs) == 1 else pairs) if p])
    counted = name in ("pad_width", "stat_length")
    smallest = min([n for p in pairs for n in p if n is not None], default=1) if counted else 1
    if len(pairs) != len(shape) or smallest < (1 if whole else 0):
        least = f"numbers from {1 if whole else 0} on" if counted else "numbers"
        raise ArgumentError(f"{name} is {given!r} for shape {shape}; give {least}, two for each axis")
    return pairs


def _mirrored(size: int, before: int, after: int, mode: str) -> list[int]:
    """Return what stands where in an axis that is padded by its own elements."""
    places = range(-before, size + after)
    if mode == "edge":
        return [min(max(i, 0), size - 1) for i in places]
    if mode == "wrap":
        return [i % size for i in places]
    # There and back again: with the elements at the ends once, or twice.
    period = max(2 * size - 2, 1) if mode == "reflect" else 2 * size
    last = period if mode == "reflect" else period - 1
    return [min(i % period, last - i % period) if size > 1 else 0 for i in places]


def _at(axis: int, index: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, index)


def _wide(x: Any, axis: int, size: int) -> Any:
    """Repeat what has one element along `axis`."""
    shape = shape_of(x)
    return registry.op("autodiff.broadcast_to")(x, shape=(*shape[:axis], size, *shape[axis + 1 :]))


def _filled(x: Any, axis: int, width: tuple[int, int], lengths: tuple[Any, Any], mode: str) -> list[Any]:
    """Return `x` between what its elements at both ends are on the whole."""
    op: Callable[..., Any] = shipped({"maximum": "max", "minimum": "min"}.get(mode, mode))
    size = shape_of(x)[axis]
    counts = [size if n is None else min(n, size) for n in lengths]
    ends = [x[_at(axis, slice(0, counts[0]))], x[_at(axis, slice(size - counts[1], size))]]
    found = [op(end, axis=axis, keepdims=True) for end in ends]
    # Means of whole numbers are rounded, as in NumPy.
    whole = registry.kind(x.dtype, registry.asarray(unwrap(x))[1]) == "int"
    found = [standard.astype(standard.round(y), dtype=x.dtype) if whole and y.dtype != x.dtype else y for y in found]
    return [_wide(found[0], axis, width[0]), x, _wide(found[1], axis, width[1])]


def _ramps(x: Any, axis: int, width: tuple[int, int], ends: tuple[Any, Any]) -> list[Any]:
    """Return `x` between straight lines from its elements at both ends to the values there."""
    own: Any = registry.asarray(unwrap(x))[1]
    size = shape_of(x)[axis]
    edges = [x[_at(axis, slice(0, 1))], x[_at(axis, slice(size - 1, size))]]
    made = []
    for n, edge, end in zip(width, edges, ends, strict=True):
        # From the end on, without the edge itself, which is in the array.
        steps = own.asarray([k / n for k in range(n)], dtype=own.xp.float64)
        steps = standard.reshape(
            standard.astype(steps, dtype=_floating(x, own)), shape=(n, *(1,) * (x.ndim - axis - 1))
        )
        ramp = end + (edge - end) * steps
        # Those of whole numbers are rounded down, as in NumPy.
        made.append(standard.astype(standard.floor(ramp), dtype=x.dtype) if ramp.dtype != x.dtype else ramp)
    return [made[0], x, shipped("flip")(made[1], axis=axis)]


def _floating(x: Any, own: Any) -> Any:
    return x.dtype if registry.kind(x.dtype, own) in ("float", "complex") else own.xp.float64
