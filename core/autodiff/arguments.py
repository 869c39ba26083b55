"""What an op takes beside Values: arrays of numbers as they are, lists and foreign arrays converted."""

from __future__ import annotations

import operator
from typing import Any

from autodiff.errors import ArgumentTypeError, AutodiffError, shown
from autodiff.handles import Handle
from autodiff.registry import registry

__all__ = ["admit", "bring_numbers", "convert", "is_index"]


def admit(op: Any, x: Any) -> Any:
    """Return a raw argument, unless it is an array of something else than numbers."""
    backend = registry.backend_of(type(x))
    if backend is not None and registry.kind(x.dtype, backend) == "other":
        raise ArgumentTypeError(
            f"{op.id!r} was given an array of dtype {x.dtype}; expected numbers: floating, complex, integer or "
            f"boolean. Convert it first, x.astype(float)."
        )
    return x


def bring_numbers(args: Any, xs: list[Any]) -> list[Any]:
    """Return raw arguments with the scalars of one library, NumPy's, as arrays of the other one that they meet.

    They are numbers that a host hands to a device like Python's own, but keep their dtype. What is in a Value stays
    where it is: its gradient would have to come back.
    """
    owners = [registry.backend_of(type(x)) for x in xs]
    like = next((x for x, own in zip(xs, owners, strict=True) if own and type(x) not in own.scalar_types), None)
    if like is None:
        return xs
    own: Any = registry.backend_of(type(like))
    home = own.base or own
    return [
        home.beside(home.asarray(x), like)
        if theirs and type(x) in theirs.scalar_types and theirs is not home and not isinstance(arg, Handle)
        else x
        for arg, x, theirs in zip(args, xs, owners, strict=True)
    ]


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
