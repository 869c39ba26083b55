"""Samples: on what inputs an op is to be tested, written beside its declaration.

- `Array`: a random array to be drawn, by shape, range and kind.
- `Sample`: inputs and attributes of one call.
- `unary`, `binary`: the usual set for an elementwise op on a domain.
- `Unsupported`: what an op, or a backend, is known not to do.

This is data, which `autodiff.testing` turns into arrays: the core knows no array library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from autodiff.errors import ArgumentError, shown

__all__ = ["Array", "Sample", "Unsupported", "binary", "sample", "unary"]


class Array(NamedTuple):
    """A random array to be drawn.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    low, high : float
        The range of a uniform distribution; for complex numbers, of both parts.
    kind : {"float", "int", "bool", "complex"}
        ``"float"`` and ``"complex"`` are differentiated, and drawn in the dtypes under test.
    distinct : bool
        Whether the elements keep a distance from each other, so that no two tie.
    definite : bool
        Whether the last two axes make Hermitian matrices that are positive definite: ``A @ A^H / n + I``, where `A` is
        what would have been drawn without.
    """

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    kind: str = "float"
    distinct: bool = False
    definite: bool = False


class Sample(NamedTuple):
    """One call: inputs (an `Array`, a shape, a Python number, or nested lists as they are) and attributes."""

    inputs: tuple[Any, ...]
    attrs: Mapping[str, Any] = MappingProxyType({})


class Unsupported(NamedTuple):
    """Something that does not work, and why: declared with an op (``unsupported=[...]``) or by a backend.

    The kit expects it to fail, and fails itself once it works, so that a declaration never outlives its reason.
    What is left out stands for all: without `backend` it holds on each.

    Parameters
    ----------
    reason : str
        Why.
    backend, dtype : str, optional
        Where: ``"cupy"``; ``"float16"``, ``"float32"``, ``"float64"``, ``"complex64"`` or ``"complex128"``.
    order : int
        From which derivative on; 0 says that the op cannot be called.
    mode : {"rev", "fwd"}, optional
        In which mode, where only one is concerned.
    op : str, optional
        The id of the op, in a declaration of a backend.

    Examples
    --------
    >>> from autodiff.extend import Unsupported, elementwise, unary
    >>> half = Unsupported("the polynomial overflows", dtype="float16")
    >>> @elementwise(partials=(lambda x: 11 * x**10,), samples=unary(8.0, 9.0), unsupported=[half])
    ... def eleventh(xp, x):
    ...     return x**11
    """

    reason: str
    backend: str | None = None
    dtype: str | None = None
    order: int = 0
    mode: str | None = None
    op: str | None = None


def sample(*inputs: Any, **attrs: Any) -> Sample:
    """Write a `Sample` as one would write the call; a tuple of ints stands for an `Array` of that shape.

    Examples
    --------
    >>> from autodiff.extend import Array, sample
    >>> sample((2, 3), Array((3,), low=0.5), axis=-1).attrs
    {'axis': -1}
    """
    return Sample(tuple(Array(i) if _is_shape(i) else i for i in inputs), attrs)


def _is_shape(obj: Any) -> bool:
    return type(obj) is tuple and all(type(n) is int for n in obj)


def _check_range(where: str, given: Any) -> None:
    """Refuse what is no pair of numbers, the lower one first."""
    pair = isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(n, int | float) for n in given)
    if not pair or not given[0] <= given[1]:
        raise ArgumentError(f"{where} takes a range as two numbers, (low, high); it was given {shown(given)}")


def unary(low: float = -2.0, high: float = 2.0, **attrs: Any) -> Sequence[Sample]:
    """Return samples of an elementwise op of one input on ``(low, high)``: 0-d, 1-d, 2-d and empty."""
    _check_range("unary", (low, high))
    return [Sample((Array(shape, low, high),), attrs) for shape in ((), (5,), (2, 3), (0, 2))]


def binary(
    first: tuple[float, float] = (-2.0, 2.0), second: tuple[float, float] = (-2.0, 2.0), **attrs: Any
) -> Sequence[Sample]:
    """Return samples of an elementwise op of two inputs, each on its range, with every kind of broadcasting."""
    for which in (first, second):
        _check_range("binary", which)
    shapes = (((), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 1)), ((2, 1, 3), (4, 1)), ((), (2,)), ((4, 1), (4, 0)))
    samples = [Sample((Array(a, *first), Array(b, *second)), attrs) for a, b in shapes]
    return [*samples, Sample((Array((3,), *first), (second[0] + second[1]) / 2 + 0.25), attrs)]
