"""In which dtypes a sample is tested, and the arrays in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.errors import ArgumentTypeError, AutodiffError, shown
from autodiff.samples import Array, Sample

__all__ = ["DTYPES", "NO_SUCH_DTYPE", "cast", "dtypes_of", "is_narrow", "missing_dtype", "widened"]

#: What the kit tests in, the most exact first: the others are compared with that.
_REAL, _COMPLEX = ("float64", "float32", "float16"), ("complex128", "complex64")
DTYPES = (*_REAL, *_COMPLEX)
#: What `Backend.asarray` raises of a dtype that the library does not have.
NO_SUCH_DTYPE = (AutodiffError, TypeError, ValueError, AttributeError)


def dtypes_of(sample: Sample) -> tuple[str, ...]:
    """Return the dtypes in which a sample can be drawn, the most exact first.

    Those of complex numbers if an input is complex; those of real ones if one is floating; otherwise the one of its
    integers or booleans, ``"float64"`` if it has no arrays at all.
    """
    kinds = {i.kind if isinstance(i, Array) else "float" for i in sample.inputs if isinstance(i, Array | tuple)}
    if "complex" in kinds:
        return _COMPLEX
    if "float" in kinds:
        return _REAL
    return ("int64",) if "int" in kinds else ("bool",) if "bool" in kinds else ("float64",)


def cast(array: Any, dtype: str) -> Any:
    """Return a NumPy array of floating or complex numbers in the precision of `dtype`; anything else as it is."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc" or dtype not in DTYPES:
        return array
    if array.dtype.kind == "c":
        return array.astype(np.complex128 if dtype in ("float64", "complex128") else np.complex64)
    return array.astype({"complex128": "float64", "complex64": "float32"}.get(dtype, dtype))


def widened(array: Any) -> Any:
    """Return the same numbers in double precision."""
    return cast(array, "float64")


def is_narrow(dtype: str) -> bool:
    """Tell whether results in `dtype` are to be compared with those in a more exact one."""
    return dtype in DTYPES and dtype not in ("float64", "complex128")


def missing_dtype(backend: Any, dtype: str) -> str | None:
    """Say that a backend has no such dtype, or return None if it has."""
    if not hasattr(type(backend), "recognises"):
        raise ArgumentTypeError(f"missing_dtype takes a backend; it was given {shown(backend)}")
    if type(dtype) is not str:
        raise ArgumentTypeError(f"missing_dtype takes the name of a dtype; it was given {shown(dtype)}")
    try:
        made = backend.to_numpy(backend.asarray(np.zeros(1, dtype)))
    except NO_SUCH_DTYPE as exc:
        return f"the backend {backend.name!r} has no {dtype}: {exc}"
    return None if made.dtype == dtype else f"the backend {backend.name!r} makes {made.dtype} of {dtype}"
