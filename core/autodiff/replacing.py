"""Other numbers for a leaf: checked against what it holds."""

from __future__ import annotations

from typing import Any

from autodiff.errors import ArgumentError, BackendMismatchError
from autodiff.registry import registry

__all__ = ["boxed", "replacement"]


def replacement(where: str, old: Any, new: Any) -> Any:
    """Return `new` as an array of the backend, shape and dtype of `old`.

    Raises
    ------
    ArgumentError
        It has another shape.
    BackendMismatchError
        It is an array of another backend.
    """
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
    return new if new.dtype == old.dtype else own.asarray(new, dtype=old.dtype)


def boxed(array: Any) -> Any:
    """Return `array` as users see it: a 0-d array in place of a backend's scalar."""
    own = registry.backend_of(type(array))
    return own.box(array) if own is not None and type(array) in own.scalar_types else array
