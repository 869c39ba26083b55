"""Other numbers for a leaf, checked against what it holds, and indices that nobody can change any more."""

from __future__ import annotations

from typing import Any

from autodiff.errors import ArgumentError, ArgumentTypeError, BackendMismatchError, GradientTypeError, RuleError
from autodiff.handles import Handle, unwrap
from autodiff.registry import registry

__all__ = ["boxed", "own_index", "plain_index", "refuse_leaving", "refuse_narrowing", "replacement", "unboxed"]


def replacement(where: str, old: Any, new: Any) -> Any:
    """Return `new` as an array of the backend, shape and dtype of `old`.

    Raises
    ------
    ArgumentError
        It has another shape, or is complex where `old` is not.
    BackendMismatchError
        It is an array of another backend.
    """
    if type(new) is type(old) and new.dtype == old.dtype and new.shape == old.shape:
        return new
    own: Any = registry.backend_of(type(old))
    theirs = registry.backend_of(type(new))
    if theirs is None:
        new = own.asarray(new, dtype=old.dtype)
    elif theirs is not own:
        raise BackendMismatchError(
            f"{where}: the data is on the backend {own.name!r}, the new array on {theirs.name!r}; "
            f"move it with .to({own.name!r})."
        )
    if new.shape != old.shape:
        raise ArgumentError(
            f"{where} has shape {old.shape}, the new array {new.shape}; make a new Value for another shape."
        )
    if registry.kind(new.dtype, own) == "complex" != registry.kind(old.dtype, own):
        raise ArgumentError(
            f"{where} has dtype {old.dtype}, and the new array {new.dtype} would lose its imaginary part; pass its .real "
            f"if that is meant."
        )
    return new if new.dtype == old.dtype else own.asarray(new, dtype=old.dtype)


def boxed(array: Any) -> Any:
    """Return `array` as users see it: a 0-d array in place of a backend's scalar."""
    own = registry.backend_of(type(array))
    return own.box(array) if own is not None and type(array) in own.scalar_types else array


def unboxed(array: Any) -> Any:
    """Return `array` as graphs hold it: a backend's scalar in place of a 0-d array, if the backend has scalars."""
    if array.shape != ():
        return array
    own: Any = registry.backend_of(type(array))
    return own.unbox(array)


def refuse_narrowing(into: Any, new: Any) -> None:
    """Refuse to write numbers that need a gradient where their kind does not fit.

    Raises
    ------
    GradientTypeError
        Floating numbers would become integers, or complex ones real.
    """
    ours, theirs = (registry.kind(x.dtype, backend) for x in (into, new) if (backend := registry.backend_of(type(x))))
    if ours not in ("float", "complex") or (ours, theirs) == ("float", "complex"):
        raise GradientTypeError(
            f"v[i] = w with v of dtype {into.dtype} would cut the numbers of w, of dtype {new.dtype}, and with them the "
            f"gradient. Use v.astype({str(new.dtype)!r}), or w.detach()."
        )


def own_index(item: Any) -> Any:
    """Return a part of an index that nobody else can change before the backward pass reads it."""
    if isinstance(item, list):
        return tuple(own_index(getattr(i, "_array", i)) for i in item)
    own = registry.backend_of(type(item))
    return item if own is None or type(item) in own.scalar_types else own.fresh(item)


#: Types of indices that nobody can change, and that hold no arrays.
_PLAIN = frozenset({int, slice, type(None), type(Ellipsis)})


def plain_index(index: Any) -> tuple[Any, ...]:
    """Return an index as a tuple without Values in it."""
    items = index if isinstance(index, tuple) else (index,)
    if all(map(_PLAIN.__contains__, map(type, items))):
        return items
    for item in items:
        if isinstance(item, Handle) and item._edge is not None:
            raise GradientTypeError(
                f"A Value that needs a gradient (dtype {item._array.dtype}) cannot be an index: an index has no derivative."
            )
    try:
        return tuple([own_index(unwrap(item)) for item in items])
    except RecursionError:
        raise ArgumentTypeError("An index is nested too deeply, or contains itself") from None


def refuse_leaving(value: Any, what: str) -> None:
    """Refuse to hand raw numbers to a rule whose pass is itself recorded, if they have a derivative.

    Raises
    ------
    RuleError
        `value` needs a gradient.
    """
    if value.requires_grad:
        raise RuleError(
            f"A gradient rule asked for value.{what} in a pass that is itself recorded: the numbers would leave the graph, "
            f"and a second derivative through them would be a silent zero. Write the rule with ops of Values (xp is "
            f"autodiff.numpy there); what is meant to be constant is value.detach()."
        )
