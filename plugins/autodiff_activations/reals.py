"""What is for real numbers alone says so, where its formula would give complex ones a wrong derivative."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentTypeError

__all__ = ["conj", "real"]


def real(name: str, x: Any, xp: Any) -> Any:
    """Return `x`, or refuse complex numbers."""
    if xp.isdtype(x.dtype, "complex floating"):
        raise ArgumentTypeError(f"{name} is for real numbers; it was given dtype {x.dtype}")
    return x


def conj(x: Any, xp: Any) -> Any:
    """Return the complex conjugate; real numbers as they are."""
    return xp.conj(x) if xp.isdtype(x.dtype, "complex floating") else x
