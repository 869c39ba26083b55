"""What a declaration reads off its function: names, inputs, attributes, and the dimensions of a gufunc signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from autodiff.errors import RegistrationError, shown
from autodiff.handles import REQUIRED
from autodiff.samples import Unsupported

__all__ = ["core_ndims", "is_variadic", "listed", "names_of", "parameters_of", "place_of", "unsupported_by"]

Function = Callable[..., Any]

_DTYPES = ("float16", "float32", "float64", "complex64", "complex128")


def names_of(function: Any) -> tuple[str, str, str, str]:
    """Return module, plugin, name and id of the op that a function declares."""
    if not callable(function) or not all(
        hasattr(function, name) for name in ("__module__", "__name__", "__qualname__")
    ):
        raise RegistrationError(f"An op is declared as a function with a name; it was given {shown(function)}")
    module = str(function.__module__)
    plugin = module.partition(".")[0]
    return module, plugin, function.__name__, f"{plugin}.{function.__name__}"


def is_variadic(function: Function) -> bool:
    """Tell whether a function takes any number of arrays."""
    return parameters_of(function)[2] is not None


def parameters_of(function: Any) -> tuple[bool, tuple[str, ...], str | None, dict[str, Any]]:
    """Read the signature: whether it takes xp, its inputs, the name of ``*xs``, its attributes with defaults."""
    inputs: list[str] = []
    variadic: str | None = None
    attrs: dict[str, Any] = {}
    place = place_of(function)
    if not callable(function):
        raise RegistrationError(f"An op is declared as a function with a name; it was given {shown(function)}")
    plain = _plain_parameters(function)
    if plain is not None:
        inputs, variadic, attrs = plain
    else:
        for p in inspect.signature(function).parameters.values():
            if p.kind is p.VAR_KEYWORD:
                raise RegistrationError(f"{place} takes **{p.name}; an op's attributes are written out")
            if p.kind is p.VAR_POSITIONAL:
                variadic = p.name
            elif p.kind is p.KEYWORD_ONLY:
                attrs[p.name] = REQUIRED if p.default is p.empty else p.default
            elif p.default is not p.empty:
                raise RegistrationError(
                    f"{place}: {p.name!r} has a default, and array inputs have none; make it an attribute, after a `*`"
                )
            else:
                inputs.append(p.name)
    takes_xp = inputs[:1] == ["xp"]
    if takes_xp:
        inputs = inputs[1:]
    if variadic and inputs:
        raise RegistrationError(f"{place} takes {', '.join(inputs)} and *{variadic}; take *{variadic} alone")
    if not inputs and not variadic:
        raise RegistrationError(f"{place} takes no array: an op has at least one input by position")
    return takes_xp, tuple(inputs), variadic, attrs


def _plain_parameters(function: Any) -> tuple[list[str], str | None, dict[str, Any]] | None:
    """Return the same of an ordinary function, None of any other: `inspect.signature` is slow, and there are many ops."""
    if type(function) is not FunctionType or function.__defaults__ or hasattr(function, "__wrapped__"):
        return None
    code, defaults = function.__code__, function.__kwdefaults__ or {}
    if code.co_flags & inspect.CO_VARKEYWORDS or hasattr(function, "__signature__"):
        return None
    end = code.co_argcount + code.co_kwonlyargcount
    attrs = {name: defaults.get(name, REQUIRED) for name in code.co_varnames[code.co_argcount : end]}
    variadic = code.co_varnames[end] if code.co_flags & inspect.CO_VARARGS else None
    return [*code.co_varnames[: code.co_argcount]], variadic, attrs


def place_of(function: Function) -> str:
    """Return where a function is written, for messages."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', shown(function))}"


def listed(what: str, given: Any) -> tuple[Any, ...]:
    """Return what is to be a sequence as a tuple.

    Raises
    ------
    RegistrationError
        It is none.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise RegistrationError(f"{what}= takes a list or tuple; it was given {shown(given)}")
    return tuple(given)


def unsupported_by(op_id: str, given: Any) -> tuple[Unsupported, ...]:
    """Return what an op does not support, unless it is something that cannot be: nobody would miss it.

    Raises
    ------
    RegistrationError
        Something in it is no `Unsupported`, or names what there is not.
    """
    for declared in listed("unsupported", given):
        if not isinstance(declared, Unsupported):
            raise RegistrationError(f"{op_id!r}: unsupported= takes a list of Unsupported; it has {shown(declared)}")
        for name, known in (("dtype", _DTYPES), ("mode", ("rev", "fwd"))):
            value = getattr(declared, name)
            if value is not None and value not in known:
                raise RegistrationError(
                    f"{op_id!r}: {shown(declared, 200)} has the {name} {shown(value)}; there are {', '.join(known)}"
                )
    return tuple(given)


def core_ndims(op_id: str, signature: Any, inputs: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the number of core dimensions of each input by a gufunc signature."""
    if signature is None:
        return None
    if not isinstance(signature, str):
        raise RegistrationError(
            f"{op_id!r}: the signature is text, '(m,k),(k,n)->(m,n)'; it was given {shown(signature)}"
        )
    groups = signature.replace(" ", "").partition("->")[0].strip("()").split("),(")
    if len(groups) != len(inputs):
        raise RegistrationError(f"{op_id!r}: the signature {signature!r} is not that of {len(inputs)} inputs")
    return tuple(len(group.split(",")) if group else 0 for group in groups)
