"""In and out of the levels of `vmap`: two linear ops, each the transpose of the other, and what a pass does with levels.

- `enter`, `leave`: an array with the batch as first axis as one of a single example, and back.
- `spread_for`: an array that is the same for all examples as a batch, where an index differs between them.
- `settle`: a cotangent as one of an edge that is the same for all examples: the sum over them.
"""

from __future__ import annotations

from typing import Any

from autodiff.batch_rules import all_levels
from autodiff.batches import LEVEL_KERNELS, Batched, batch, levels_of, repeated, size_in
from autodiff.declarations import linear
from autodiff.graph import Edge, Leaf
from autodiff.modes import LEVELS
from autodiff.standard import standard
from autodiff.value import Value, unwrap

__all__ = ["enter", "leave", "settle", "spread_for"]


def _enter_vjp(g: Any, level: int, size: int) -> Any:
    return leave(g, level=level, size=size)


@linear(transpose=_enter_vjp, batching=())
def enter(xp: Any, x: Any, *, level: int, size: int) -> Any:
    """Take the first axis of `x` for the batch of `level`."""
    return _enter(x, level=level, size=size)


def _leave_vjp(g: Any, level: int, size: int) -> Any:
    return enter(g, level=level, size=size)


@linear(transpose=_leave_vjp, batching=())
def leave(xp: Any, x: Any, *, level: int, size: int) -> Any:
    """Give the batch of `level` back as first axis; what is the same for all examples is repeated."""
    return _leave(x, level=level, size=size)


# For one example it is the identity, and so is its transpose: whether examples are summed is a matter of the edge.
@linear(transpose=lambda g: g, batching=())
def spread(xp: Any, x: Any, *, level: int, size: int) -> Any:
    """Take what is the same for all examples for a batch of `level`."""
    return _spread_kernel(x, level=level, size=size)


def _spread_kernel(x: Any, *, level: int, size: int) -> Any:
    if not isinstance(x, Batched) or x.level < level:
        return batch(repeated(x, size), level)
    return batch(_spread_kernel(x.array, level=level, size=size), x.level)


def _enter(x: Any, *, level: int, size: int) -> Any:
    if not isinstance(x, Batched) or x.level < level:
        return batch(x, level)
    return batch(_enter(_swapped(x.array), level=level, size=size), x.level)


def _leave(x: Any, *, level: int, size: int) -> Any:
    if not isinstance(x, Batched) or x.level < level:
        return repeated(x, size)
    if x.level == level:
        return x.array
    return batch(_swapped(_leave(x.array, level=level, size=size)), x.level)


def _swapped(x: Any) -> Any:
    return standard.permute_dims(x, axes=(1, 0, *range(2, len(x.shape))))


LEVEL_KERNELS[enter.id] = _enter
LEVEL_KERNELS[leave.id] = _leave
LEVEL_KERNELS[spread.id] = _spread_kernel


def settle(q: Any, edge: Edge) -> Any:
    """Return a cotangent, summed over the levels that are none of its edge's.

    What was computed outside of a `vmap` is the same for all its examples, hence its cotangent is their sum, once
    that `vmap` has ended. Inside of it a pass is one of a single example, and the level stays; but for what
    `backward` adds to a leaf from outside.
    """
    active = LEVELS.get()
    for level in levels_of(unwrap(q)):
        outside = edge.seq < level
        ended = level not in active
        if (outside and (ended or type(edge) is Leaf)) or (ended and not issubclass(edge.type, Batched)):
            q = standard.sum(leave(q, level=level, size=0), axis=0)
    if type(q) is Value or not isinstance(q, Batched):
        return q
    return batch(q.array, q.level)  # of the ordinary type, also where it comes from a rule


def spread_for(value: Value, index: Any) -> Value:
    """Return `value` with the levels of an index that it is to be read or written by."""
    for level in sorted(all_levels(index) - set(levels_of(value._array))):
        size: Any = size_in(index, level)
        value = spread(value, level=level, size=size)
    return value
