"""Gradients for functions in user code, without a plugin: `custom_gradient`, `approximate_gradient`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from autodiff.declarations import primitive
from autodiff.errors import ArgumentTypeError, RuleError, shown
from autodiff.inputs import name_of
from autodiff.op import Op
from autodiff.value import Value

__all__ = ["approximate_gradient", "custom_gradient"]

Function = Callable[..., Any]


def custom_gradient(
    *given: Any,
    vjps: Sequence[Any] | Mapping[str, Any] | None = None,
    vjp: Function | None = None,
    jvps: Sequence[Any] | Mapping[str, Any] | None = None,
    jvp: Function | None = None,
) -> Callable[[Function], Op]:
    """Give a function of raw arrays its derivative; nothing is registered.

    Parameters
    ----------
    vjps, vjp, jvps, jvp
        Rules, as those of `autodiff.extend.primitive`: one for each array, or one for all together, whose
        parameters are matched by name. A forward rule that is not given is derived from the vjp.

    Returns
    -------
    decorator
        For a function that takes arrays by position and anything else by keyword. It is called with raw arrays,
        and with ``xp`` if that is its first parameter; what it returns takes Values too.

    Raises
    ------
    RegistrationError
        A rule names what the function does not have.
    ArgumentTypeError
        A function is given in the place of its rules.

    Examples
    --------
    >>> import math
    >>> from autodiff import Value, custom_gradient
    >>> import numpy as np
    >>> @custom_gradient(vjps=(lambda g, x, xp: g * xp.cos(x),))
    ... def sine(x):
    ...     return np.sin(x)
    >>> x = Value(0.0)
    >>> sine(x).backward()
    >>> print(x.grad)
    1.0
    """

    if given:
        raise ArgumentTypeError(
            f"custom_gradient takes rules, and is put above a function: @custom_gradient(vjps=(rule,)), where "
            f"rule(g, ...) names the inputs or the output y that it needs. It was given {shown(given[0], 80)}."
        )

    def declare(function: Function) -> Op:
        op = primitive(vjps=vjps, vjp=vjp, jvps=jvps, jvp=jvp)(function)
        if not op.takes_xp:
            op.takes_xp = True
            op.function = lambda xp, *xs, **attrs: function(*xs, **attrs)
        return op

    return declare


def approximate_gradient(function: Function, *, eps: float = 1e-6) -> Op:
    """Give an opaque function of raw arrays a gradient by central differences: an approximation, of first order.

    It costs two calls of `function` for each element of each array that needs a gradient, and has an error of
    about ``eps**2``, or of the rounding divided by `eps`. For code that cannot be differentiated otherwise.

    Parameters
    ----------
    function : callable
        Takes arrays of real floating-point numbers by position, and returns one array.
    eps : float
        The step, relative to each number or to 1.

    Returns
    -------
    callable
        Takes Values too. A second derivative is refused.

    Examples
    --------
    >>> from autodiff import Value, approximate_gradient
    >>> import numpy as np
    >>> x = Value(np.array([1.0, 2.0]))
    >>> approximate_gradient(lambda x: x**3)(x).sum().backward()
    >>> x.grad.round(4)
    array([ 3., 12.])
    """
    if not callable(function):
        raise ArgumentTypeError(f"approximate_gradient takes a function; it was given {shown(function, 80)}")

    def differences(g: Any, xs: Any, needs: Any, xp: Any) -> tuple[Any, ...]:
        if type(g) is Value:
            raise RuleError(
                f"approximate_gradient of {name_of(function)} is an approximation of first order: its gradient cannot be "
                f"differentiated. Write a rule, with custom_gradient, for higher derivatives."
            )
        return tuple(_by_differences(function, g, xs, i, eps, xp) if needed else None for i, needed in enumerate(needs))

    def approximated(xp: Any, *xs: Any) -> Any:
        return function(*xs)

    approximated.__name__ = approximated.__qualname__ = f"approximate_{getattr(function, '__name__', 'function')}"
    approximated.__module__ = getattr(function, "__module__", None) or __name__
    approximated.__doc__ = f"{name_of(function)}, with an approximate gradient of first order."
    return primitive(vjp=differences)(approximated)


def _by_differences(function: Function, g: Any, xs: Any, i: int, eps: float, xp: Any) -> Any:
    """Return the vjp for one array: for each element, the change of the result along ``g``."""
    x = xs[i]
    count = prod(x.shape)
    flat = xp.reshape(x, (count,))
    places = xp.arange(count)
    slopes = []
    for n in range(count):
        length = eps * max(1.0, abs(float(flat[n])))
        ends = []
        for step in (length, -length):
            moved = xp.where(places == n, flat + step, flat)
            ends.append(function(*xs[:i], xp.reshape(moved, x.shape), *xs[i + 1 :]))
        slopes.append(xp.sum(g * (ends[0] - ends[1])) / (2 * length))
    return xp.reshape(xp.stack(slopes), x.shape) if slopes else xp.zeros_like(x)
