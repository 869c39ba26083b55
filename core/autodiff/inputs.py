"""The arguments of a transform: flattened, made nodes of their own, and handed out again as they came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff import trees
from autodiff.arguments import is_index
from autodiff.backward import pull_back
from autodiff.batch_rules import in_batch
from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError, shown
from autodiff.forward import push_forward
from autodiff.graph import Edge, Leaf, make_node
from autodiff.leaves import is_own
from autodiff.modes import FORWARD, MODE, NO_GRAD, TRANSFORM, Switch
from autodiff.registry import registry
from autodiff.replacing import boxed
from autodiff.rule import IDENTITY
from autodiff.seeds import seed_for
from autodiff.value import Value, unwrap, wrap

__all__ = ["Inputs", "as_value", "check_function", "name_of", "results_of", "run"]

Function = Callable[..., Any]


class Inputs:
    """The arguments of a transform: flattened, and passed through fresh edges that it differentiates for.

    A fresh edge for each keeps a closure over the same Value from being counted.
    """

    def __init__(self, transform: str, f: Function, args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        check_function(transform, f)
        self.single = not isinstance(argnums, tuple | list)
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
        plan = IDENTITY if own.base is None else in_batch(IDENTITY)
        return wrap(data, make_node(plan, (edge,), None, data.shape, data.dtype, type(data)))

    def pull(self, outputs: Sequence[Value | None], seeds: list[Any], *, retain: bool, unused: str) -> Any:
        """Return the gradients, in the structure of the arguments."""
        record = self.nested or any(type(s) is Value and s._edge is not None for s in seeds)
        seeds = [_recorded(s) if record else unwrap(s) for s in seeds]
        wrt = [edge for _, edges, _ in self.places for edge in edges if edge is not None]
        roots = [(y._edge, s) for y, s in zip(outputs, seeds, strict=True) if y is not None and y._edge is not None]
        pulled = pull_back(
            [edge for edge, _ in roots], [s for _, s in roots], wrt, retain=retain or record, record=record
        )
        gradients = []
        for (treedef, edges, fresh), argnum in zip(self.places, self.argnums, strict=True):
            found = [
                None if edge is None else self._gradient([pulled.pop(edge, None)], value, unused, argnum)
                for edge, value in zip(edges, fresh, strict=True)
            ]
            gradients.append(trees.unflatten(treedef, found))
        return gradients[0] if self.single else tuple(gradients)

    def push(self, outputs: Sequence[Value | None], tangents: tuple[Any, ...]) -> list[Any]:
        """Return the tangents of `outputs` for those of the arguments."""
        if len(tangents) != len(self.places):
            raise ArgumentError(
                f"jvp was given {len(self.places)} arguments and {len(tangents)} tangents; give one for each"
            )
        given: dict[Edge, Any] = {}
        for n, ((treedef, edges, fresh), tangent) in enumerate(zip(self.places, tangents, strict=True)):
            if tangent is None:
                continue
            leaves, structure = trees.flatten(tangent)
            if structure != treedef:
                raise ArgumentError(f"jvp: argument {n} has the structure {treedef}, its tangent {structure}")
            for edge, value, t in zip(edges, fresh, leaves, strict=True):
                if edge is not None and t is not None:
                    given[edge] = seed_for(value, t, type(t) is Value, what=f"the tangent of argument {n} of jvp")
        record = self.nested or any(type(t) is Value and t._edge is not None for t in given.values())
        given = {edge: _recorded(t) if record else unwrap(t) for edge, t in given.items()}
        roots = [y._edge for y in outputs if y is not None and y._edge is not None]
        pushed = push_forward(given, roots, record=record) if given else [None] * len(roots)
        pushed.reverse()  # so that they can be taken out
        return [None if y is None else self._handed([None if y._edge is None else pushed.pop()], y) for y in outputs]

    def _handed(self, holder: list[Any], like: Value) -> Any:
        """Hand out the tangent or the gradient in `holder`, zeros for None."""
        t = holder.pop()
        alone = is_own([t])
        own: Any = registry.backend_of(type(like._array if t is None else unwrap(t)))
        if t is None:
            t = own.beside(own.zeros(like.shape, like.dtype, type(like._array)), like._array)
            t = t if self.raw and not self.nested else wrap(t, None)
        if type(t) is Value:  # of its own: two arguments may have been handed one and the same
            return wrap(own.fresh(t._array), t._edge)
        return _bare(own.fresh(t, alone=alone))

    def _gradient(self, holder: list[Any], value: Value, unused: str, argnum: int) -> Any:
        if holder[0] is None:
            if unused == "error":
                raise ArgumentError(
                    f"The output does not depend on argument {argnum} (shape {value.shape}); unused='zeros' gives zeros for it"
                )
            if unused == "none":
                return None
        return self._handed(holder, value)

    def out(self, obj: Any) -> Any:
        """Hand a result out: raw arrays for raw arguments, unless an outer transform needs the graph."""
        if self.nested or not self.raw:
            return obj
        leaves, treedef = trees.flatten(obj)
        return trees.unflatten(treedef, [_bare(leaf.data) if type(leaf) is Value else leaf for leaf in leaves])


def _recorded(t: Any) -> Value:
    return t if type(t) is Value else wrap(t, None)


def _bare(array: Any) -> Any:
    """Return an array as users see it: a 0-d array for a scalar, a Value for a batch."""
    own: Any = registry.backend_of(type(array))
    return boxed(array) if own.base is None else wrap(array, None)


def check_function(transform: str, f: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(f):
        raise ArgumentTypeError(f"{transform} takes a function; it was given {shown(f, 80)}")


def run(
    f: Function, inputs: Inputs, kwargs: dict[str, Any], has_aux: bool, *, forward: bool = False
) -> tuple[Any, Any]:
    """Call `f` on the inputs, recording; return its output and what it returned beside."""
    if not isinstance(has_aux, bool):
        raise ArgumentTypeError(f"has_aux is True or False; it was given {shown(has_aux)}")
    with Switch(on=TRANSFORM | FORWARD * forward, off=NO_GRAD):
        result = f(*inputs.args, **kwargs)
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentTypeError(
            f"With has_aux=True {name_of(f)} must return a pair (output, aux); it returned {shown(result, 80)}"
        )
    return result


def _checked_argnums(transform: str, f: Function, args: tuple[Any, ...], argnums: int | Sequence[int]) -> list[int]:
    if isinstance(argnums, bool) or not (isinstance(argnums, tuple | list) or is_index(argnums)):
        raise ArgumentError(
            f"{transform} of {name_of(f)}: argnums is an int or a sequence of ints; it was given {shown(argnums)}"
        )
    numbers: list[Any] = list(argnums) if isinstance(argnums, tuple | list) else [argnums]
    for n in numbers:
        if isinstance(n, bool) or not is_index(n) or not -len(args) <= n < len(args):
            raise ArgumentError(
                f"{transform} of {name_of(f)}: argnums={shown(argnums)}, and it was called with {len(args)} positional arguments"
            )
    positions = [n % len(args) for n in numbers]
    if len(set(positions)) != len(positions):
        raise ArgumentError(f"{transform} of {name_of(f)}: argnums={shown(argnums)} names one argument twice")
    return positions


def _refuse(transform: str, f: Function, argnum: int, leaf: Any) -> None:
    what = f"dtype {leaf.dtype}" if hasattr(leaf, "dtype") else f"{shown(leaf, 40)} of type {type(leaf).__name__}"
    raise GradientTypeError(
        f"{transform} of {name_of(f)}: argument {argnum} holds {what}, which has no derivative. Pass floating-point numbers "
        f"(2.0, x.astype(float)), or leave it out of argnums."
    )


def as_value(y: Any, f: Function) -> Value:
    """Return one output of `f` as a Value; a number or array is a constant."""
    if type(y) is Value:
        return y
    if y is None:
        raise ArgumentTypeError(f"{name_of(f)} returned None; it must return what is to be differentiated.")
    try:
        data, _ = registry.asarray(y)
    except ArgumentTypeError as exc:
        exc.add_note(f"the result of {name_of(f)}")
        raise
    return wrap(data, None)


def results_of(ys: Any, f: Function) -> tuple[list[Value | None], Any]:
    """Return the leaves of what `f` returned, and their structure; None in it stands for nothing, and stays."""
    leaves, treedef = trees.flatten(ys)
    return [None if y is None and y is not ys else as_value(y, f) for y in leaves], treedef


def name_of(f: Function) -> str:
    """Return the name of a function for messages."""
    return getattr(f, "__qualname__", repr(f))
