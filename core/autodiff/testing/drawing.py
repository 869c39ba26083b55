"""From samples to arrays: `draw`, `draw_like`, and `LAYOUTS`, the ways in which an array may lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.errors import ArgumentError, shown
from autodiff.samples import Array

__all__ = ["LAYOUTS", "check_seed", "draw", "draw_like", "fingerprint"]

_KINDS = ("float", "int", "bool", "complex")


def check_seed(where: str, seed: Any) -> None:
    """Refuse what NumPy's generators cannot be started with.

    Raises
    ------
    ArgumentError
        It is no natural number.
    """
    if type(seed) is not int or seed < 0:
        raise ArgumentError(f"{where}: seed is a natural number; it was given {shown(seed)}")


def draw(spec: Any, rng: np.random.Generator) -> Any:
    """Return a NumPy array for an `Array` or a shape; anything else, Python numbers for instance, as it is.

    Floating numbers are float64 or complex128, uniform between `low` and `high`; integers are int64, from
    `low` up to but not including `high`.

    Raises
    ------
    ArgumentError
        The kind is unknown, there are not enough distinct integers in the range, or matrices that are to be definite are
        not square.
    """
    if isinstance(spec, tuple) and all(type(n) is int for n in spec):
        spec = Array(spec)
    if not isinstance(spec, Array):
        return spec
    size = int(np.prod(spec.shape))
    if spec.kind == "bool":
        flat = rng.integers(0, 2, size).astype(bool)
    elif spec.kind == "int":
        flat = _integers(spec, size, rng)
    elif spec.kind == "float":
        flat = _floats(spec, size, rng)
    elif spec.kind == "complex":
        flat = _floats(spec, size, rng) + 1j * _floats(spec, size, rng)
    else:
        raise ArgumentError(f"{spec!r}: the kind is one of {', '.join(map(repr, _KINDS))}")
    array = flat.reshape(spec.shape)
    return _definite(array, spec) if spec.definite else array


def _definite(array: Any, spec: Array) -> Any:
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.dtype.kind not in "fc":
        raise ArgumentError(f"{spec!r}: only square matrices of floating numbers can be definite")
    n = array.shape[-1]
    return array @ np.conj(np.swapaxes(array, -1, -2)) / max(n, 1) + np.eye(n)


def _floats(spec: Array, size: int, rng: np.random.Generator) -> Any:
    if not spec.distinct:
        return rng.uniform(spec.low, spec.high, size)
    # One in each of `size` equal cells, in its middle half: neighbours are at least half a cell apart.
    return spec.low + (spec.high - spec.low) * (rng.permutation(size) + rng.uniform(0.25, 0.75, size)) / max(size, 1)


def _integers(spec: Array, size: int, rng: np.random.Generator) -> Any:
    low, high = int(np.ceil(spec.low)), int(np.ceil(spec.high))
    if not spec.distinct:
        return rng.integers(low, high, size)
    if high - low < size:
        raise ArgumentError(f"{spec!r}: there are {max(high - low, 0)} integers from {low} to {high - 1}, not {size}")
    return low + rng.permutation(high - low)[:size]


def draw_like(array: Any, rng: np.random.Generator) -> Any:
    """Return a cotangent for a NumPy array, normally distributed; None for integers and booleans, which have none.

    Its numbers are exact in half precision, so that one draw is the same in every dtype.
    """
    if array.dtype.kind not in "fc":
        return None
    drawn = _halves(rng, array.shape)
    if array.dtype.kind == "c":
        drawn = drawn + 1j * _halves(rng, array.shape)
    return np.asarray(drawn, dtype=array.dtype)


def _halves(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.asarray(rng.standard_normal(shape)).astype(np.float16).astype(np.float64)


def fingerprint(obj: Any, backend: Any) -> Any:
    """Return something that changes when the content of arrays in a nesting of lists, tuples and dicts does."""
    if isinstance(obj, dict):
        return [(name, fingerprint(item, backend)) for name, item in obj.items()]
    if isinstance(obj, list | tuple):
        return [fingerprint(item, backend) for item in obj]
    if isinstance(obj, np.ndarray):
        return obj.shape, obj.dtype, obj.tobytes()
    if backend.recognises(type(obj)):
        return fingerprint(np.asarray(backend.to_numpy(obj)), backend)
    return repr(obj)


def _plain(array: Any, backend: Any) -> Any:
    return backend.asarray(np.array(array))


def _read_only(array: Any, backend: Any) -> Any:
    raw = _plain(array, backend)
    if isinstance(raw, np.ndarray):  # only NumPy knows such arrays
        raw.flags.writeable = False
    return raw


def _strided(array: Any, backend: Any) -> Any:
    if array.ndim == 0:
        return _plain(array, backend)
    return backend.asarray(np.repeat(array, 2, axis=-1))[..., ::2]


def _reversed(array: Any, backend: Any) -> Any:
    if array.ndim == 0:
        return _plain(array, backend)
    return backend.xp.flip(backend.asarray(np.ascontiguousarray(np.flip(array))))


def _fortran(array: Any, backend: Any) -> Any:
    raw = backend.asarray(np.array(array.T, order="C"))
    return raw if array.ndim < 2 else backend.xp.permute_dims(raw, tuple(reversed(range(array.ndim))))


def _scalar(array: Any, backend: Any) -> Any:
    raw = _plain(array, backend)
    return raw[()] if array.ndim == 0 else raw


#: Functions of a NumPy array and a backend that return an array of that backend, of the same numbers.
LAYOUTS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": _plain,
    "read-only": _read_only,
    "strided": _strided,
    "with negative strides": _reversed,
    "in Fortran order": _fortran,
    "scalars of the library": _scalar,
}
