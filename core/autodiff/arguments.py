"""What an op takes beside Values: arrays of numbers as they are, lists and foreign arrays converted."""

from __future__ import annotations

import operator
from typing import Any

from autodiff.errors import ArgumentTypeError, AutodiffError, shown
from autodiff.registry import registry

__all__ = ["admit", "convert", "is_index"]


def admit(op: Any, x: Any) -> Any:
    """Return a raw argument, unless it is an array of something else than numbers."""
    backend = registry.backend_of(type(x))
    if backend is not None and registry.kind(x.dtype, backend) == "other":
        raise ArgumentTypeError(
            f"{op.id!r} was given an array of dtype {x.dtype}; expected numbers: floating, complex, integer or "
            f"boolean. Convert it first, x.astype(float)."
        )
    return x


def convert(op: Any, i: int, x: Any, backend: Any) -> Any:
    """Return a list, or a foreign array, as an array of `backend`."""
    if isinstance(x, str | bytes | dict | set) or x is None:
        known = ", ".join(registry.backends)
        raise ArgumentTypeError(
            f"{op.id!r}: argument {i} is {shown(x)} of type {type(x).__name__}; it takes Values, numbers, "
            f"lists of numbers and arrays of the backends {known}"
        )
    if isinstance(x, list | tuple) and any(type(item) is not int and hasattr(item, "requires_grad") for item in x):
        one_by_one = f", or pass them one by one, {op.name}(*values), if that is meant" if op.variadic else ""
        raise ArgumentTypeError(
            f"{op.id!r}: argument {i} is a list with Values in it. Join them first, autodiff.numpy.array(values)"
            f"{one_by_one}."
        )
    try:
        return backend.asarray(x)
    except AutodiffError as exc:
        exc.add_note(f"while converting argument {i} of {op.id!r}")
        raise


def is_index(n: Any) -> bool:
    """Tell whether `n` is a whole number, as an int or a number of NumPy is."""
    try:
        operator.index(n)
    except TypeError:
        return False
    return True
