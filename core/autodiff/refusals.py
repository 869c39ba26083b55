"""What is raised when a kernel refuses its arguments: which op, given what, and what the library said."""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff.errors import ArgumentError, ArgumentTypeError, AutodiffError, IndexingError, KernelError

__all__ = ["AxisArgumentError", "refuse"]


class AxisArgumentError(ArgumentError, IndexingError):
    """An axis does not fit the array; a ValueError and an IndexError, as NumPy's own is."""


_REPLACED = frozenset(
    {
        *("TypeError", "ValueError", "IndexError", "AxisError", "OverflowError"),
        *("UFuncTypeError", "_UFuncNoLoopError", "_UFuncInputCastingError", "_UFuncOutputCastingError"),
    }
)


def refuse(op: Any, exc: Exception, xs: Any, attrs: dict[str, Any]) -> NoReturn:
    """Raise what the kernel raised, saying which op was given what."""
    given = ", ".join(
        f"{name}: {_brief(x)}"
        for name, x in zip(op.inputs + tuple(f"#{i}" for i in range(len(op.inputs), len(xs))), xs, strict=False)
    )
    options = "".join(f", {name}={attr!r:.80}" for name, attr in attrs.items())
    if isinstance(exc, AutodiffError):
        exc.add_note(f"in {op.id!r}, given {given}{options}")
        raise exc
    message = f"{op.id!r} was given {given}{options}: {exc}"
    for caught, raised in (
        (IndexError, IndexingError if not isinstance(exc, ValueError) else AxisArgumentError),
        (TypeError, ArgumentTypeError),
        ((ValueError, OverflowError), KernelError),
    ):
        # A subclass of its own, LinAlgError for one, is what callers expect to catch: it stays.
        if isinstance(exc, caught) and type(exc).__name__ in _REPLACED:
            raise raised(message) from exc
    exc.add_note(message)
    raise exc


def _brief(x: Any) -> str:
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"shape {tuple(x.shape)} {x.dtype}"
    return f"{type(x).__name__} {x!r:.40}"
