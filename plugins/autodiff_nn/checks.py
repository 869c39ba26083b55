"""What layers, losses and optimisers ask of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodiff import Value
from autodiff.extend import ArgumentError, ArgumentTypeError, BackendMismatchError, backend_of, get_backend

__all__ = [
    "array",
    "backend",
    "brief",
    "integers",
    "like",
    "mapping",
    "number",
    "one_number",
    "parameter",
    "raw",
    "readable",
    "told",
]


def raw(x: Any) -> Any:
    """Return the raw array of a Value; anything else as it is."""
    return x.data if isinstance(x, Value) else x


def backend(x: Any) -> Any:
    """Return the backend of an array or a Value, None for anything else."""
    return backend_of(type(raw(x)))


def readable(*arrays: Any) -> bool:
    """Tell whether the numbers of arrays can be looked at: not on a device, which the host would have to wait for.

    Nor inside `vmap`, where they are those of many examples.
    """
    return all(own.on_host and own.base is None for own in map(backend, arrays))


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
    if theirs is not None and (theirs.base or theirs) is not (own.base or own):
        raise BackendMismatchError(
            f"{where}: the integers are on the backend {theirs.name!r}, the numbers on {own.name!r}; move one of them"
        )
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
            raise ArgumentError(f"{where}: {name} is a number from {low} to below {high}; it was given {told(value)}")


def one_number(where: str, x: Any) -> float:
    """Return a number, or an array that holds one, as a float.

    Raises
    ------
    ArgumentTypeError
        It is something else.
    """
    try:
        return float(raw(x))
    except (TypeError, ValueError, OverflowError) as exc:
        raise ArgumentTypeError(f"{where} is one number; it was given {brief(x)}") from exc


def told(obj: Any) -> str:
    """Return the start of ``repr(obj)``, whatever `obj` makes of being asked for it."""
    try:
        return f"{obj!r:.60}"
    except RecursionError:
        return f"a {type(obj).__name__} nested deeply"


def brief(obj: Any) -> str:
    """Return a few words about anything, for a message."""
    return (
        f"{type(obj).__name__} of shape {obj.shape}" if hasattr(obj, "shape") else f"{type(obj).__name__} {told(obj)}"
    )


def array(where: str, x: Any) -> Any:
    """Return `x`, an array or a Value; a list as an array.

    Raises
    ------
    ArgumentTypeError
        It holds no numbers.
    """
    if backend(x) is not None:
        return x
    try:
        return get_backend().asarray(x)
    except ArgumentTypeError as exc:
        raise ArgumentTypeError(f"{where} takes an array; it was given {brief(x)}") from exc


def like(where: str, x: Any, own: Any) -> None:
    """Refuse an array of another backend than that of `own`.

    Raises
    ------
    BackendMismatchError
        It is on another one.
    """
    theirs, ours = backend(x), backend(own)
    if (theirs.base or theirs) is not (ours.base or ours):  # those of many examples are on the backend of one
        raise BackendMismatchError(
            f"{where} is on the backend {ours.name!r} and was given an array on {theirs.name!r}; move one of them"
        )


def mapping(where: str, state: Any) -> Mapping[str, Any]:
    """Return `state` if it maps names to anything.

    Raises
    ------
    ArgumentTypeError
        It is no mapping, or its keys are no names.
    """
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise ArgumentTypeError(f"{where} takes a mapping of names to arrays; it was given {brief(state)}")
    return state
