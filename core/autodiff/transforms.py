"""Transforms of functions: `grad`, `value_and_grad`, `vjp`, `jvp`, `linearize`. Thin functions over the two passes.

Arguments may be any nesting of dicts, lists, tuples, None and dataclasses. Raw arrays in, raw arrays out;
Values in, Values out, which can be differentiated again. No ``.grad`` is touched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from autodiff import trees
from autodiff.errors import ArgumentError, ArgumentTypeError, shown
from autodiff.inputs import Inputs, as_value, name_of, results_of, run
from autodiff.registry import registry
from autodiff.seeds import seed_for
from autodiff.value import Value

__all__ = ["grad", "jvp", "linearize", "value_and_grad", "vjp"]

Function = Callable[..., Any]
_UNUSED = ("zeros", "none", "error")


def grad(f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False, unused: str = "zeros") -> Function:
    """Return a function that computes the gradient of `f`.

    Parameters
    ----------
    f : callable
        Returns one real number (or a pair of it and anything else, with `has_aux`).
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to; a sequence gives a tuple of gradients.
    has_aux : bool
        Whether `f` returns ``(output, aux)``; then the result is ``(gradient, aux)``.
    unused : {"zeros", "none", "error"}
        What to return for an argument that the output does not depend on.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns a gradient with the structure, shapes and dtypes of the argument.

    Raises
    ------
    GradientTypeError
        An argument to differentiate holds integers, booleans or text.
    ArgumentError
        `f` does not return a single real number.

    Examples
    --------
    >>> from autodiff import grad
    >>> print(grad(lambda x: x**3)(2.0))
    12.0
    >>> print(grad(grad(lambda x: x**3))(2.0))
    12.0
    >>> grad(lambda p: (p["a"] * p["b"]).sum())({"a": 2.0, "b": 3.0})
    {'a': array(3.), 'b': array(2.)}
    """
    both = value_and_grad(f, argnums, has_aux=has_aux, unused=unused)

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(
    f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False, unused: str = "zeros"
) -> Function:
    """Return a function that computes the value of `f` and its gradient, ``(value, gradient)``.

    Parameters and errors are those of `grad`; with `has_aux` the result is ``((value, aux), gradient)``.

    Examples
    --------
    >>> from autodiff import value_and_grad
    >>> value_and_grad(lambda x: x * x)(3.0)
    (array(9.), array(6.))
    """
    if not callable(f):
        raise ArgumentTypeError(f"grad takes a function; it was given {shown(f, 80)}")
    if unused not in _UNUSED:
        raise ArgumentError(f"unused= is one of {', '.join(map(repr, _UNUSED))}; it was given {unused!r}")

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def with_gradient(*args: Any, **kwargs: Any) -> Any:
        inputs = Inputs("grad", f, args, argnums)
        output, aux = run(f, inputs, kwargs, has_aux)
        output = as_value(output, f)
        seed = seed_of_gradient(output, "grad", f)
        gradients = inputs.pull([output], [seed], retain=inputs.nested, unused=unused)
        value = inputs.out(output)
        return ((value, inputs.out(aux)) if has_aux else value), gradients

    return with_gradient


def seed_of_gradient(output: Value, transform: str, f: Function) -> Any:
    """Return one, for the result of `f`.

    Raises
    ------
    ArgumentError
        It is not a single real number.
    """
    own: Any = registry.backend_of(type(output._array))
    if output.size != 1 or registry.kind(output.dtype, own) != "float":
        raise ArgumentError(
            f"{transform} of {name_of(f)} needs a single real number as its result; it returned shape {output.shape}, dtype "
            f"{output.dtype}. Reduce it, for instance by .sum(), or use vjp."
        )
    return own.ones(output._array)


def vjp(f: Function, *args: Any, has_aux: bool = False) -> Any:
    """Compute `f` and a function that pulls cotangents of its result back to its arguments.

    Parameters
    ----------
    f : callable
        Returns any nesting of arrays (or a pair of it and anything else, with `has_aux`).
    *args
        Where to differentiate: any nesting of floating or complex arrays and numbers.
    has_aux : bool
        Whether `f` returns ``(outputs, aux)``.

    Returns
    -------
    ys : like the result of `f`
    pull : callable
        ``pull(cotangents)`` takes the structure of `ys` and returns a tuple, one cotangent for each of `args`. It
        may be called any number of times.
    aux
        With `has_aux` only.

    Raises
    ------
    GradientTypeError
        An argument holds integers, booleans or text.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import vjp
    >>> y, pull = vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 0.0]))
    (array([2., 0.]),)
    """
    inputs = Inputs("vjp", f, args, tuple(range(len(args))))
    ys, aux = run(f, inputs, {}, has_aux)
    outputs, treedef = results_of(ys, f)

    def pull(cotangents: Any) -> tuple[Any, ...]:
        given, structure = trees.flatten(cotangents)
        if structure != treedef:
            raise ArgumentError(
                f"pull() of vjp takes cotangents of the structure of the result, {treedef}; it was given {structure}"
            )
        seeds = [_cotangent(y, c) for y, c in zip(outputs, given, strict=True)]
        return inputs.pull(outputs, seeds, retain=True, unused="zeros")  # type: ignore[no-any-return]  # a tuple for a tuple of argnums

    out = trees.unflatten(treedef, [inputs.out(y) for y in outputs])
    return (out, pull, inputs.out(aux)) if has_aux else (out, pull)


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False) -> Any:
    """Compute `f` and the directional derivative of its result, in one pass forwards.

    Parameters
    ----------
    f : callable
        Returns any nesting of arrays (or a pair of it and anything else, with `has_aux`).
    primals : sequence
        The arguments of `f`, any nesting of floating or complex arrays and numbers.
    tangents : sequence
        The direction, with the structure and shapes of `primals`; None for an argument that stays.
    has_aux : bool
        Whether `f` returns ``(outputs, aux)``.

    Returns
    -------
    ys, ts : like the result of `f`
        The result, and the product of the Jacobian with `tangents`.
    aux
        With `has_aux` only.

    Raises
    ------
    GradientTypeError
        An argument holds integers, booleans or text.
    ArgumentError
        `tangents` has another structure or shape than `primals`.

    Examples
    --------
    >>> from autodiff import jvp
    >>> y, t = jvp(lambda x: x * x * x, (2.0,), (1.0,))
    >>> print(y, t)
    8.0 12.0
    """
    ys, push, *aux = linearize(f, *_listed("jvp", "primals", primals), has_aux=has_aux)
    return (ys, push(*_listed("jvp", "tangents", tangents)), *aux)


def directional(f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """Return the second result of `jvp`; the first is not handed out, which would copy it."""
    inputs, outputs, treedef, _ = _recorded(f, primals, False)
    return trees.unflatten(treedef, inputs.push(outputs, tangents))


def linearize(f: Function, *primals: Any, has_aux: bool = False) -> Any:
    """Compute `f` and its linear approximation: a function that pushes tangents through the recorded graph.

    Parameters
    ----------
    f : callable
        As for `jvp`.
    *primals
        Where to linearize.
    has_aux : bool
        Whether `f` returns ``(outputs, aux)``.

    Returns
    -------
    ys : like the result of `f`
    push : callable
        ``push(*tangents)`` is the second result of `jvp`, without computing `f` again; it may be called any
        number of times.
    aux
        With `has_aux` only.

    Examples
    --------
    >>> from autodiff import linearize
    >>> y, push = linearize(lambda x: x * x, 3.0)
    >>> print(push(1.0), push(2.0))
    6.0 12.0
    """
    inputs, outputs, treedef, aux = _recorded(f, primals, has_aux)

    def push(*tangents: Any) -> Any:
        return trees.unflatten(treedef, inputs.push(outputs, tangents))

    out = trees.unflatten(treedef, [inputs.out(y) for y in outputs])
    return (out, push, inputs.out(aux)) if has_aux else (out, push)


def _recorded(f: Function, primals: tuple[Any, ...], has_aux: bool) -> tuple[Inputs, list[Value | None], Any, Any]:
    """Call `f` for sweeps forwards; return its inputs, the leaves of its result, their structure and what is beside."""
    inputs = Inputs("jvp", f, primals, tuple(range(len(primals))))
    ys, aux = run(f, inputs, {}, has_aux, forward=True)
    outputs, treedef = results_of(ys, f)
    return inputs, outputs, treedef, aux


def _listed(transform: str, what: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list):
        raise ArgumentTypeError(
            f"{transform}() takes its {what} as a tuple, one for each argument of the function; it was given {shown(given, 80)}"
        )
    return tuple(given)


def _cotangent(y: Value | None, given: Any) -> Any:
    if y is None:
        if given is not None:
            raise ArgumentError(f"pull() of vjp was given {shown(given, 40)} where the function returned None")
        return None
    if given is None:
        own: Any = registry.backend_of(type(y._array))
        return own.beside(own.zeros(y.shape, y.dtype, type(y._array)), y._array)
    return seed_for(y, given, type(given) is Value, what="pull() of vjp")
