"""Transforms of functions: `grad`, `value_and_grad`, `vjp`. Thin functions over the backward pass.

Arguments may be any nesting of dicts, lists, tuples, None and dataclasses. Raw arrays in, raw arrays out;
Values in, Values out, which can be differentiated again. No ``.grad`` is touched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from autodiff import trees
from autodiff.backward import pull_back
from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError
from autodiff.graph import Edge, Leaf, Node
from autodiff.modes import MODE, NO_GRAD, TRANSFORM, Switch
from autodiff.registry import registry
from autodiff.rule import IDENTITY
from autodiff.seeds import seed_for
from autodiff.value import Value, wrap

__all__ = ["grad", "value_and_grad", "vjp"]

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
        raise ArgumentTypeError(f"grad takes a function; it was given {f!r:.80}")
    if unused not in _UNUSED:
        raise ArgumentError(f"unused= is one of {', '.join(map(repr, _UNUSED))}; it was given {unused!r}")

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def with_gradient(*args: Any, **kwargs: Any) -> Any:
        inputs = _Inputs("grad", f, args, argnums)
        output, aux = _run(f, inputs, kwargs, has_aux)
        if type(output) is not Value:
            output = wrap(*_constant(output, f))
        own: Any = registry.backend_of(type(output._array))
        if output.shape != () or registry.kind(output.dtype, own) != "float":
            raise ArgumentError(
                f"grad of {_name(f)} needs a single real number as its result; it returned shape {output.shape}, dtype "
                f"{output.dtype}. Reduce it, for instance by .sum(), or use vjp."
            )
        seed = own.ones(output._array)
        gradients = inputs.pull([output], [seed], retain=inputs.nested, unused=unused)
        value = inputs.out(output)
        return ((value, inputs.out(aux)) if has_aux else value), gradients

    return with_gradient


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
    inputs = _Inputs("vjp", f, args, tuple(range(len(args))))
    ys, aux = _run(f, inputs, {}, has_aux)
    leaves, treedef = trees.flatten(ys)
    outputs = [y if type(y) is Value else wrap(*_constant(y, f)) for y in leaves]

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


class _Inputs:
    """The arguments of a transform: flattened, and passed through fresh edges that it differentiates for.

    A fresh edge for each keeps a closure over the same Value from being counted.
    """

    def __init__(self, transform: str, f: Function, args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        self.single = isinstance(argnums, int)
        self.argnums = _checked_argnums(transform, f, args, argnums)
        self.args = list(args)
        # Inside another transform's function, or given Values, the pass must be differentiable itself.
        self.nested = bool(MODE.get() & TRANSFORM)
        self.raw = True
        self.places: list[tuple[Any, list[Edge | None], list[Any]]] = []
        for n in self.argnums:
            leaves, treedef = trees.flatten(args[n])
            fresh = [self._fresh(transform, f, n, leaf) for leaf in leaves]
            self.args[n] = trees.unflatten(treedef, fresh)
            self.places.append((treedef, [v._edge if type(v) is Value else None for v in fresh], fresh))

    def _fresh(self, transform: str, f: Function, argnum: int, leaf: Any) -> Any:
        if leaf is None:
            return None
        if type(leaf) is Value:
            self.raw = False
            data = leaf._array
            self.nested = self.nested or leaf._edge is not None
        else:
            if isinstance(leaf, int | str | bytes):
                _refuse(transform, f, argnum, leaf)
            data, _ = registry.asarray(leaf)
        own: Any = registry.backend_of(type(data))
        if registry.kind(data.dtype, own) not in ("float", "complex"):
            _refuse(transform, f, argnum, data)
        below = leaf._edge if type(leaf) is Value else None
        edge = below if below is not None else Leaf(data.shape, data.dtype, type(data))
        # A node, even for a leaf: inside `f` an argument may be assigned to like any result.
        return wrap(data, Node(IDENTITY, (edge,), None, data.shape, data.dtype, type(data)))

    def pull(self, outputs: list[Value], seeds: list[Any], *, retain: bool, unused: str) -> Any:
        """Return the gradients, in the structure of the arguments."""
        record = self.nested or any(type(s) is Value for s in seeds)
        if record:
            seeds = [s if type(s) is Value else wrap(s, None) for s in seeds]
        wrt = [edge for _, edges, _ in self.places for edge in edges if edge is not None]
        roots = [(y._edge, s) for y, s in zip(outputs, seeds, strict=True) if y._edge is not None]
        pulled = pull_back(
            [edge for edge, _ in roots], [s for _, s in roots], wrt, retain=retain or record, record=record
        )
        gradients = []
        for (treedef, edges, fresh), argnum in zip(self.places, self.argnums, strict=True):
            found = [
                None if edge is None else self._gradient(pulled.get(edge), edge, value, unused, argnum)
                for edge, value in zip(edges, fresh, strict=True)
            ]
            gradients.append(trees.unflatten(treedef, found))
        return gradients[0] if self.single else tuple(gradients)

    def _gradient(self, g: Any, edge: Edge, value: Value, unused: str, argnum: int) -> Any:
        own: Any = registry.backend_of(edge.type)
        if g is None:
            if unused == "error":
                raise ArgumentError(
                    f"The output does not depend on argument {argnum} (shape {value.shape}); unused='zeros' gives zeros for it"
                )
            if unused == "none":
                return None
            g = own.zeros(edge.shape, edge.dtype, edge.type)
            return g if self.raw and type(g) not in own.scalar_types else self.out(wrap(g, None))
        if type(g) is Value:  # of its own: two arguments may have been handed one and the same
            return self.out(wrap(own.fresh(g._array), g._edge))
        g = own.fresh(g)
        return own.box(g) if type(g) in own.scalar_types else g

    def out(self, obj: Any) -> Any:
        """Hand a result out: raw arrays for raw arguments, unless an outer transform needs the graph."""
        if self.nested or not self.raw:
            return obj
        leaves, treedef = trees.flatten(obj)
        return trees.unflatten(treedef, [leaf.data if type(leaf) is Value else leaf for leaf in leaves])


def _run(f: Function, inputs: _Inputs, kwargs: dict[str, Any], has_aux: bool) -> tuple[Any, Any]:
    with Switch(on=TRANSFORM, off=NO_GRAD):
        result = f(*inputs.args, **kwargs)
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentTypeError(
            f"With has_aux=True {_name(f)} must return a pair (output, aux); it returned {result!r:.80}"
        )
    return result


def _checked_argnums(transform: str, f: Function, args: tuple[Any, ...], argnums: int | Sequence[int]) -> list[int]:
    if not isinstance(argnums, int | tuple | list):
        raise ArgumentError(
            f"{transform} of {_name(f)}: argnums is an int or a sequence of ints; it was given {argnums!r}"
        )
    numbers: list[Any] = [argnums] if isinstance(argnums, int) else list(argnums)
    for n in numbers:
        if not isinstance(n, int) or not -len(args) <= n < len(args):
            raise ArgumentError(
                f"{transform} of {_name(f)}: argnums={argnums!r}, and it was called with {len(args)} positional arguments"
            )
    positions = [n % len(args) for n in numbers]
    if len(set(positions)) != len(positions):
        raise ArgumentError(f"{transform} of {_name(f)}: argnums={argnums!r} names one argument twice")
    return positions


def _refuse(transform: str, f: Function, argnum: int, leaf: Any) -> None:
    what = f"dtype {leaf.dtype}" if hasattr(leaf, "dtype") else f"{leaf!r:.40} of type {type(leaf).__name__}"
    raise GradientTypeError(
        f"{transform} of {_name(f)}: argument {argnum} holds {what}, which has no derivative. Pass floating-point numbers "
        f"(2.0, x.astype(float)), or leave it out of argnums."
    )


def _constant(y: Any, f: Function) -> tuple[Any, None]:
    try:
        data, _ = registry.asarray(y)
    except ArgumentTypeError as exc:
        exc.add_note(f"the result of {_name(f)}")
        raise
    return data, None


def _cotangent(y: Value, given: Any) -> Any:
    if given is None:
        own: Any = registry.backend_of(type(y._array))
        return own.zeros(y.shape, y.dtype, type(y._array))
    return seed_for(y, given, type(given) is Value)


def _name(f: Function) -> str:
    return getattr(f, "__qualname__", repr(f))
