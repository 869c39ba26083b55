"""Kernels of real floating arrays from C expressions, made once and kept.

They compute in the type ``W``: float32 for half precision, else the array's own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cupy

__all__ = ["elementwise", "mean_of", "several"]

_WIDENED = """
template <typename U> struct widened { typedef U type; };
template <> struct widened<float16> { typedef float type; };
"""


@cache
def elementwise(name: str, parameters: str, expression: str) -> Any:
    """Return a kernel of real floating arrays and numbers of one dtype, computed in the type ``W``."""
    names = parameters.split()
    read = " ".join(f"const W {p} = static_cast<W>(_{p});" for p in names)
    return cupy.ElementwiseKernel(
        ", ".join(f"T _{p}" for p in names),
        "T _result",
        f"typedef widened<T>::type W; {read} _result = static_cast<T>({expression})",
        f"autodiff_{name}",
        preamble=_WIDENED,
    )


def several(name: str, arrays: str, numbers: str, results: str, code: str) -> Any:
    """Return a kernel of real floating arrays of one dtype and of numbers, whose `code` computes `results`.

    All names are of type ``W`` in the code.
    """
    reads = [f"const W {p} = static_cast<W>(_{p});" for p in (arrays + " " + numbers).split()]
    makes = [f"W {p};" for p in results.split()]
    writes = [f"_{p} = static_cast<T>({p});" for p in results.split()]
    return cupy.ElementwiseKernel(
        ", ".join([*(f"T _{p}" for p in arrays.split()), *(f"float64 _{p}" for p in numbers.split())]),
        ", ".join(f"T _{p}" for p in results.split()),
        " ".join(["typedef widened<T>::type W;", *reads, *makes, code, *writes]),
        f"autodiff_{name}",
        preamble=_WIDENED,
    )


@cache
def mean_of(name: str, parameters: str, expression: str, total: bool = False) -> Any:
    """Return a kernel for the mean, or the `total`, of an expression over axes."""
    # A function, because a reduction maps elements by an expression, where local constants have no place.
    names = parameters.split()
    arguments = ", ".join(f"W {p}" for p in names)
    return cupy.ReductionKernel(
        ", ".join(f"T _{p}" for p in names),
        "T _result",
        f"term<widened<T>::type>({', '.join(f'static_cast<widened<T>::type>(_{p})' for p in names)})",
        "a + b",
        f"_result = static_cast<T>({'a' if total else 'a / widened<T>::type(_in_ind.size() / _out_ind.size())'})",
        "0",
        f"autodiff_{name}",
        reduce_type="widened<T>::type",
        preamble=f"{_WIDENED} template <typename W> __device__ W term({arguments}) {{ return {expression}; }}",
    )
