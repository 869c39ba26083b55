"""What is raised when a kernel refuses its arguments: which op, given what, and what the library said."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from autodiff.errors import ArgumentError, ArgumentTypeError, AutodiffError, IndexingError, KernelError, nearest, shown
from autodiff.holding import tell

__all__ = ["AxisArgumentError", "refuse", "refuse_unknown", "spelled"]


class AxisArgumentError(ArgumentError, IndexingError):
    """An axis does not fit the array; a ValueError and an IndexError, as NumPy's own is."""


_REPLACED = frozenset(
    {
        *("TypeError", "ValueError", "IndexError", "AxisError", "OverflowError"),
        *(
            "DTypePromotionError",
            "UFuncTypeError",
            "_UFuncNoLoopError",
            "_UFuncInputCastingError",
            "_UFuncOutputCastingError",
        ),
    }
)

#: What comes of arguments of a kind that nobody thought of: the first thing that is done with them fails.
_STRAY = (AttributeError, KeyError, AssertionError, RecursionError, UnboundLocalError, StopIteration)


def refuse(op: Any, exc: Exception, xs: Any, attrs: dict[str, Any], args: Any = ()) -> NoReturn:
    """Raise what the kernel raised, saying which op was given what; if memory ran out, what the graph of `args` holds."""
    tell(exc, [getattr(arg, "_edge", None) for arg in args])
    names = op.inputs + tuple(f"#{i}" for i in range(len(op.inputs), len(xs)))
    _raise(exc, repr(op.id), [*zip(names, xs, strict=False)], attrs, KernelError)


def refuse_unknown(op: Any, attrs: dict[str, Any]) -> None:
    """Raise if there is an attribute that an op does not have."""
    for name in attrs:
        if name not in op.attrs:
            raise ArgumentTypeError(
                f"{op.id!r} has no attribute {name!r}.{nearest(name, op.attrs)} Its signature is {op.signature}."
            )


def _refuse_call(function: Callable[..., Any], exc: Exception, args: Any, options: dict[str, Any]) -> NoReturn:
    """Raise what came of a function that is no op, saying which one was given what."""
    import inspect  # here, because it is only needed when something goes wrong

    if isinstance(exc, AutodiffError):
        raise exc
    name = f"autodiff.numpy.{function.__name__}"
    parameters = inspect.signature(function).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for option in options:
            if option not in parameters:
                known = ", ".join(parameters)
                raise ArgumentTypeError(
                    f"{name} has no argument {option!r}.{nearest(option, parameters)} It takes {known}."
                ) from exc
    _raise(exc, name, [(f"#{i}", x) for i, x in enumerate(args)], options, ArgumentError)


@functools.cache
def spelled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the errors of a function of `autodiff.numpy` say which one was given what, whatever it was given."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as exc:
            _refuse_call(function, exc, args, kwargs)

    call.__module__ = "autodiff.numpy"  # where it is found, and hence pickled
    return call


def _raise(exc: Exception, name: str, xs: list[tuple[str, Any]], options: dict[str, Any], value_error: Any) -> NoReturn:
    given = ", ".join(
        [f"{which}: {_brief(x)}" for which, x in xs] + [f"{n}={shown(o, 80)}" for n, o in options.items()]
    )
    if isinstance(exc, AutodiffError):
        exc.add_note(f"in {name}, given {given or 'nothing'}")
        raise exc
    message = f"{name} was given {given or 'nothing'}: {exc}"
    for caught, raised in (
        (IndexError, IndexingError if not isinstance(exc, ValueError) else AxisArgumentError),
        (TypeError, ArgumentTypeError),
        ((ValueError, OverflowError), value_error),
    ):
        # A subclass of its own, LinAlgError for one, is what callers expect to catch: it stays.
        if isinstance(exc, caught) and type(exc).__name__ in _REPLACED:
            raise raised(message) from exc
    if isinstance(exc, _STRAY) and value_error is KernelError:
        # Nobody can tell from here: it is no ArgumentTypeError, which `==` takes for "not to be compared".
        why = f"{type(exc).__name__}: {exc}. It cannot work with such arguments, or has a fault of its own"
        raise KernelError(f"{name} was given {given or 'nothing'}, and its kernel raised {why}.") from exc
    if value_error is ArgumentError and (isinstance(exc, _STRAY) or type(exc) in (ZeroDivisionError, RuntimeError)):
        why = f"which it cannot work with ({type(exc).__name__}: {exc})"
        raise ArgumentTypeError(f"{name} was given {given or 'nothing'}, {why}") from exc
    exc.add_note(message)
    raise exc


def _brief(x: Any) -> str:
    try:
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            return f"shape {shown(x.shape)} {x.dtype}"
    except Exception as exc:  # it only looks like an array
        return f"a {type(x).__qualname__} whose shape raises {type(exc).__name__}"
    return f"{type(x).__name__} {shown(x, 40)}"
