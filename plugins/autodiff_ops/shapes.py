"""What several modules need to know of shapes, axes and dtypes; no ops."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from autodiff.extend import ArgumentError, ArgumentTypeError, get_backend

__all__ = [
    "arrayed",
    "conj",
    "is_complex",
    "is_half",
    "normal_axes",
    "normal_axis",
    "possible",
    "require_real",
    "size_of",
    "sizes",
]


def arrayed(x: Any) -> Any:
    """Return a list or a number as an array, so that a composite may ask for its shape; anything else as it is."""
    return x if hasattr(x, "shape") else get_backend().asarray(x)


def size_of(shape: Any) -> int:
    """Return the number of elements."""
    return math.prod(shape)


def possible(where: str, shape: Any) -> None:
    """Refuse a shape of more bytes than there are addresses, of which some libraries crash."""
    if size_of(shape) >= 2**59:
        raise ArgumentError(f"{where}: the result would have the shape {tuple(shape)}, too large for any memory")


def normal_axis(where: str, axis: Any, ndim: int) -> int:
    """Return an axis counted from the front."""
    if isinstance(axis, bool) or not hasattr(axis, "__index__") or not -ndim <= axis < ndim:
        raise ArgumentError(f"{where}: axis {axis!r} does not exist in {ndim} dimensions")
    return int(axis) % ndim


def normal_axes(where: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes, None for all, in the order given and counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(normal_axis(where, a, ndim) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"{where}: axis {axis!r} names one axis of {ndim} twice")
    return axes


def is_half(x: Any, xp: Any) -> bool:
    """Tell whether an array is of half precision, in which sums overflow and lose small terms."""
    return bool(x.dtype == getattr(xp, "float16", None))


def is_complex(x: Any) -> bool:
    """Tell whether an array or a Value is complex: faster than ``xp.isdtype``, and where there is no ``xp`` to ask."""
    dtype: Any = x.dtype
    library: Any = type(dtype)
    return _is_complex(library, dtype)


@cache
def _is_complex(library: Any, dtype: Any) -> bool:  # dtypes of two libraries mind to be compared
    return "complex" in str(dtype)


def require_real(name: str, dtype: Any, xp: Any) -> None:
    """Refuse complex numbers where a kernel would take them, and make something else of them."""
    if xp.isdtype(dtype, "complex floating"):
        raise ArgumentTypeError(f"{name} is for real numbers; it was given dtype {dtype}")


def sizes(x: Any, xp: Any) -> Any:
    """Return what says how large the exponentials of `x` are: complex numbers have no order, their real parts have."""
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x


def conj(x: Any, xp: Any) -> Any:
    """Return the complex conjugate; real numbers as they are."""
    return xp.conj(x) if is_complex(x) else x
