"""Where gradients arrive: added to the ``grad`` of every leaf, or of none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sized
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from autodiff.errors import ArgumentError, ArgumentTypeError, GraphError, shown
from autodiff.graph import Cell, Edge, Leaf
from autodiff.hooks import WRITING
from autodiff.modes import NO_GRAD, Switch
from autodiff.registry import registry
from autodiff.replacing import unboxed
from autodiff.value import Value, unwrap, wrap

__all__ = ["add_to", "commit", "edge_of", "first_sum", "is_own", "listed", "mixed_sum", "of", "relocate"]


def commit(arrived: dict[Leaf, Any]) -> None:
    """Add to every ``grad``; `arrived` is emptied.

    Sums are made aside, then stored by one call into C, which nothing interrupts.
    """
    with WRITING:  # gradients of one leaf may arrive from several threads
        cells, sums = [], []
        for leaf in list(arrived):
            g = arrived.pop(leaf)
            alone = is_own([g])
            cell = leaf.cell()
            if cell is not None:  # otherwise no handle is left to ask for the gradient
                cells.append(cell)
                sums.append(_sum(leaf, cell.grad, g, alone))
        deque(map(_store, cells, sums), maxlen=0)


_store = Cell.__dict__["grad"].__set__  # the setter of a slot, which is C


def _references(holder: list[Any]) -> int:
    array = holder.pop()
    return getrefcount(array) + getweakrefcount(array)


def _of_nobody_else() -> int:
    array = {0: object()}.pop(0)
    return _references([array])


#: What `_references` counts for an object that its caller alone has, in one variable; interpreters differ in it.
_ALONE = _of_nobody_else()


def is_own(holder: list[Any]) -> bool:
    """Tell whether nobody refers to the array in the list `holder` but the caller, in one variable.

    A view refers to the array whose memory it shows, and so do a graph that saved it, a gradient, a hook, another
    edge that the array is on its way to, a rule that keeps it. So it is enough to count, weak references too: who finds
    the array by one would see what is written. Whether the array is itself a view, the backend knows. The list makes
    the count the same for compiled and interpreted callers.
    """
    return _references(holder) <= _ALONE


def first_sum(arrived: dict[Any, Any], edge: Edge, g: Any) -> Any:
    """Take the cotangent of `edge` out of `arrived` and return its sum with `g`: in its own memory if that is safe."""
    before = arrived.pop(edge)
    alone = is_own([before])
    if type(before) is not type(g) or type(before) is Value:
        return mixed_sum(before, g)
    own: Any = registry.backend_of(type(before))
    return own.add(before, g, alone=alone)


def mixed_sum(a: Any, b: Any) -> Any:
    """Add arrays of which one may be a batch, or a Value: that goes first, since libraries refuse what they do not know."""
    own: Any = None if type(a) is Value else registry.backend_of(type(a))
    return b + a if own is not None and own.base is None else a + b


def add_to(total: Any, g: Any) -> Any:
    """Return the sum of `total`, which is the pass's own, and `g`: in the memory of `total`."""
    own: Any = registry.backend_of(type(total))
    return own.add(total, g, alone=True)


def _sum(leaf: Leaf, before: Any, g: Any, alone: bool) -> Any:
    own: Any = registry.backend_of(type(unwrap(g)))
    if type(before) is Value or type(g) is Value:
        with Switch(off=NO_GRAD):  # a gradient that was recorded stays so, whatever the mode around
            total = wrap(own.fresh(unwrap(g)), g._edge if type(g) is Value else None)
            total = total if before is None else mixed_sum(before, total)
    elif before is not None:
        total = own.add(before, g)
    else:
        # It may be the seed, a sibling's gradient or a view of something: the leaf gets an array of its own.
        total = own.fresh(g, alone=alone)
    return own.box(total) if type(total) in own.scalar_types else total


def listed(inputs: Any) -> list[Any]:
    """Return what a user named as inputs: Values, or a single one."""
    if type(inputs) is Value:
        return [inputs]
    if not isinstance(inputs, Iterable) or (isinstance(inputs, Sized) and not len(inputs)):
        raise ArgumentTypeError(
            f"backward(inputs=...) takes Values that need a gradient; it was given {shown(inputs, 80)}"
        )
    return list(inputs)


def edge_of(value: Value) -> Edge:
    """Return the edge of one of the Values that a user named as inputs."""
    if type(value) is not Value or value._edge is None:
        raise ArgumentError(f"backward(inputs=...) takes Values that need a gradient; it was given {shown(value, 80)}")
    return value._edge  # type: ignore[no-any-return]  # a Handle holds Any


def of(value: Value) -> Leaf:
    """Return the leaf of `value`, made for an intermediate result that has none."""
    edge: Any = value.retain_grad()._edge
    return edge if type(edge) is Leaf else edge.watch.leaf


def relocate(value: Any, array: Any, gradient: Any = None) -> None:
    """Let a Value that is no intermediate result hold `array`, of any backend, and the raw `gradient`.

    It stays the same handle, with its hooks, and gets a leaf of its own: graphs recorded before end at the old one.

    Raises
    ------
    GraphError
        It is an intermediate result.
    ArgumentTypeError, ArgumentError
        Something else than arrays was given, or a gradient of another shape.
    """
    arrays = [array] if gradient is None else [array, gradient]
    if type(value) is not Value or any(registry.backend_of(type(a)) is None for a in arrays):
        raise ArgumentTypeError(
            f"relocate() takes a Value, an array, and an array as its gradient; it was given {shown(value, 40)}, "
            f"{shown(array, 40)} and {shown(gradient, 40)}"
        )
    if tuple(arrays[-1].shape) != tuple(array.shape):
        raise ArgumentError(
            f"relocate() was given an array of shape {tuple(array.shape)} and a gradient of shape {tuple(gradient.shape)}"
        )
    if not value.is_leaf:
        raise GraphError("An intermediate result cannot be relocated; .to(...) makes another one.")
    moved = Value(array, requires_grad=value.requires_grad)  # made aside: whatever is refused, `value` is as it was
    if type(value._edge) is Leaf:
        moved._edge.hooks = value._edge.hooks
        moved.grad = gradient
        value._edge, value._cell = moved._edge, moved._cell
    value._array = unboxed(array)
