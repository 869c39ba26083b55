"""`vmap`: a function of one example, turned into one of a batch of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autodiff import trees
from autodiff.batches import levels_of
from autodiff.errors import ArgumentError, ArgumentTypeError, shown
from autodiff.graph import next_seq
from autodiff.inputs import as_value, name_of
from autodiff.levels import enter, leave
from autodiff.modes import BATCH, LEVELS, Switch
from autodiff.registry import registry
from autodiff.replacing import boxed
from autodiff.value import Value, wrap

__all__ = ["vmap"]

Function = Callable[..., Any]


def vmap(f: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
    """Return a function that computes `f` for a batch of examples at once.

    `f` is written for one example and called once: each op that it applies computes for the whole batch.

    Parameters
    ----------
    f : callable
        Takes and returns any nesting of arrays. What it takes in the place of mapped arrays are Values without the
        batch axis; their numbers cannot be read, since there is one for each example.
    in_axes : int, None, or a nesting of them
        Which axis of each positional argument is the batch, None for an argument that is the same for all
        examples. An int or None goes for all arguments; a tuple has one entry for each, which may itself have the
        structure of the argument, or of its outer containers. Keyword arguments are mapped over their first axis.
    out_axes : int, None, or a nesting of them
        Where the batch axis of each result shall be; None for a result that is the same for all examples.

    Returns
    -------
    callable
        Takes the arguments of `f`, with the batch. Raw arrays give raw arrays, Values give Values.

    Raises
    ------
    ArgumentError
        Nothing is mapped, the axes do not exist, or the arguments have batches of different sizes; a result for
        which `out_axes` is None depends on the example.
    ArgumentTypeError
        A mapped argument is no array, or `f` reads a number of one example.

    Notes
    -----
    It may be nested, and combined with `grad`, `vjp`, `jvp`, `jacobian` and `checkpoint` in any order: of
    ``vmap(grad(f))`` each example has its own gradient, also by what is the same for all, and ``grad`` of a
    function that calls `vmap` sums over them. An op without a batching rule is computed for one example after the
    other, and so are gradient rules that do not run on batches. A random op draws for each example, unless its
    argument is the same for all.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad, vmap
    >>> vmap(lambda x, y: x @ y, in_axes=(0, None))(np.eye(2), np.array([2.0, 3.0]))
    array([2., 3.])
    >>> vmap(grad(lambda x: (x**3).sum()))(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[ 3., 12.],
           [27., 48.]])
    """
    if not callable(f):
        raise ArgumentTypeError(f"vmap takes a function; it was given {shown(f, 80)}")

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = trees.flatten((args, kwargs))
        axes = _spread("in_axes", (_listed(in_axes, f, args), 0), (args, kwargs), f)
        leaves = [leaf if axis is None else _array(leaf, f) for leaf, axis in zip(leaves, axes, strict=True)]
        size = _size(leaves, axes, f)
        given = trees.flatten((args, kwargs))[0]
        raw = not any(type(leaf) is Value for leaf in given)
        level = next_seq()
        for i, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
            if leaf is not None and axis is not None:
                leaves[i] = enter(_moved(leaf, axis, 0), level=level, size=size)
        args, kwargs = trees.unflatten(treedef, leaves)
        token = LEVELS.set((*LEVELS.get(), level))
        try:
            with Switch(on=BATCH):
                result = f(*args, **kwargs)
        finally:
            LEVELS.reset(token)
        results, structure = trees.flatten(result)
        places = _spread("out_axes", out_axes, result, f)
        out = [_result(y, place, level, size, f) for y, place in zip(results, places, strict=True)]
        return trees.unflatten(structure, [_bare(y, given) if raw else y for y in out])

    return mapped


def _listed(in_axes: Any, f: Function, args: tuple[Any, ...]) -> Any:
    """Return `in_axes` as a tuple with one entry for each argument, or as the int or None that goes for all."""
    if in_axes is None or type(in_axes) is int:
        return in_axes
    if not isinstance(in_axes, tuple | list):
        raise ArgumentTypeError(
            f"vmap of {name_of(f)}: in_axes is an int, None, or a tuple with an entry for each argument; it was given "
            f"{shown(in_axes, 80)}"
        )
    if len(in_axes) != len(args):
        raise ArgumentError(
            f"vmap of {name_of(f)}: in_axes={shown(in_axes)} has {len(in_axes)} entries; it was called with {len(args)} "
            f"positional arguments"
        )
    return tuple(in_axes)


def _spread(what: str, prefix: Any, tree: Any, f: Function) -> list[Any]:
    """Return one axis for each leaf of `tree`."""
    try:
        axes = trees.spread(prefix, tree)
    except ValueError as exc:
        raise ArgumentError(
            f"vmap of {name_of(f)}: {what} does not have the structure of what it is for, or of its outer containers: {exc}"
        ) from exc
    for axis in axes:
        if axis is not None and type(axis) is not int:
            raise ArgumentTypeError(f"vmap of {name_of(f)}: {what} holds ints and None; it was given {shown(axis, 60)}")
    return axes


def _array(leaf: Any, f: Function) -> Any:
    if leaf is None or type(leaf) is Value:
        return leaf
    if registry.backend_of(type(leaf)) is None:
        raise ArgumentTypeError(
            f"vmap of {name_of(f)}: a mapped argument is {shown(leaf, 60)} of type {type(leaf).__name__}, which has no axis to "
            f"map over. Pass an array, or give it None in in_axes."
        )
    return wrap(leaf, None)


def _size(leaves: list[Any], axes: list[Any], f: Function) -> int:
    """Return the number of examples."""
    sizes: dict[int, None] = {}
    for leaf, axis in zip(leaves, axes, strict=True):
        if leaf is None or axis is None:
            continue
        if not -len(leaf.shape) <= axis < len(leaf.shape):
            raise ArgumentError(
                f"vmap of {name_of(f)}: axis {axis} is to be mapped over, of an argument of shape {leaf.shape}, which does "
                f"not have it"
            )
        sizes[leaf.shape[axis]] = None
    if len(sizes) != 1:
        raise ArgumentError(
            f"vmap of {name_of(f)}: the mapped axes of the arguments have the sizes {', '.join(map(str, sizes))}; they "
            f"must be equal"
            if sizes
            else f"vmap of {name_of(f)}: no argument is mapped; in_axes has None for all that it was called with"
        )
    return next(iter(sizes))


def _moved(value: Any, source: int, destination: int) -> Any:
    n = len(value.shape)
    if source % n == destination % n:
        return value
    return registry.op("autodiff_ops.moveaxis")(value, source=source, destination=destination)


def _result(y: Any, place: int | None, level: int, size: int, f: Function) -> Any:
    if y is None:
        return None
    value = as_value(y, f)
    if place is None:
        if level in levels_of(value._array):
            raise ArgumentError(
                f"vmap of {name_of(f)}: a result for which out_axes is None depends on the example; give the axis where "
                f"the batch shall be"
            )
        return value
    n = len(value.shape) + 1
    if not -n <= place < n:
        raise ArgumentError(
            f"vmap of {name_of(f)}: out_axes has {place} for a result that with the batch has {n} dimensions"
        )
    return _moved(leave(value, level=level, size=size), 0, place)


def _bare(value: Any, given: list[Any]) -> Any:
    """Return the array of a Value, unless it is part of a graph or inside another `vmap`."""
    if value is None or value._edge is not None or levels_of(value._array):
        return value
    array = value._array
    own: Any = registry.backend_of(type(array))
    return boxed(own.fresh(array, alone=all(array is not leaf for leaf in given)))
