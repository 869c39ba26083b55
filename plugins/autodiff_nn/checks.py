"""What layers, losses and optimisers ask of their arguments."""

from __future__ import annotations

from typing import Any

from autodiff import Value
from autodiff.extend import ArgumentError, ArgumentTypeError, backend_of

__all__ = ["backend", "integers", "number", "parameter", "raw"]


def raw(x: Any) -> Any:
    """Return the raw array of a Value; anything else as it is."""
    return x.data if isinstance(x, Value) else x


def backend(x: Any) -> Any:
    """Return the backend of an array or a Value, None for anything else."""
    return backend_of(type(raw(x)))


def integers(where: str, x: Any, like: Any) -> Any:
    """Return integers as a raw array of the backend of `like`.

    Raises
    ------
    ArgumentTypeError
        They are no integers.
    """
    own = backend(like)
    array = raw(x)
    if isinstance(array, int | list | tuple | range):
        array = own.asarray(array)
        whole = own.astype(array, own.dtype("int64"))  # lists mean the reals
        array = whole if bool(own.xp.all(whole == array)) else array
    theirs = backend(array)
    if theirs is None or theirs.kind(array.dtype) != "int":
        given = f"dtype {array.dtype}" if theirs else f"a {type(x).__name__}"
        raise ArgumentTypeError(f"{where} takes integers; it was given {given}")
    return array


def parameter(where: str, x: Any) -> Value:
    """Return `x` if it is something that can be trained.

    Raises
    ------
    ArgumentError
        It is an intermediate result.
    ArgumentTypeError
        It is no Value.
    """
    if not isinstance(x, Value):
        raise ArgumentTypeError(f"{where} takes parameters, which are Values; it was given a {type(x).__name__}")
    if not x.is_leaf:
        raise ArgumentError(f"{where} takes parameters; it was given an intermediate result, {x!r:.80}")
    return x


def number(where: str, low: float, high: float = float("inf"), **options: Any) -> None:
    """Check that options are numbers with ``low <= number < high``.

    Raises
    ------
    ArgumentError
        One is not.
    """
    for name, value in options.items():
        if not isinstance(value, int | float) or not low <= value < high:
            raise ArgumentError(f"{where}: {name} is a number from {low} to below {high}; it was given {value!r}")
