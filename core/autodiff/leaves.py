"""Where gradients arrive: added to the ``grad`` of every leaf, or of none."""

from __future__ import annotations

import threading
from collections import deque
from sys import getrefcount
from typing import Any

from autodiff.errors import ArgumentError
from autodiff.graph import Edge, Leaf
from autodiff.inspection import run_hooks
from autodiff.registry import registry
from autodiff.value import Value, wrap

__all__ = ["commit", "edge_of", "of"]

_lock = threading.RLock()  # gradients of one leaf may arrive from several threads


def commit(arrived: dict[Leaf, Any]) -> None:
    """Run the leaves' hooks, then add to every ``grad``; `arrived` is emptied.

    Sums are made aside, then stored by one call into C, which nothing interrupts.
    """
    hooked = {leaf: run_hooks(leaf, arrived[leaf]) for leaf in arrived if leaf.hooks}
    arrived.update(hooked)
    hooked.clear()
    receivers = list(arrived)
    with _lock:
        sums = [_sum(leaf, *_pop(arrived, leaf)) for leaf in receivers]
        deque(map(_store, receivers, sums), maxlen=0)


_store = Leaf.__dict__["grad"].__set__  # the setter of a slot, which is C


def _pop(arrived: dict[Any, Any], leaf: Any) -> tuple[Any, int]:
    g = arrived.pop(leaf)
    return g, getrefcount(g)


#: What `_pop` counts for an object that nobody else refers to; it differs between interpreters.
_ALONE = _pop({0: object()}, 0)[1]


def _sum(leaf: Leaf, g: Any, references: int) -> Any:
    if leaf.grad is not None:
        return leaf.grad + g
    own: Any = registry.backend_of(leaf.type)
    if type(g) is Value:
        return wrap(own.fresh(g._data), g._edge)
    # It may be the seed, a sibling's gradient or a view of something: the leaf gets an array of its own.
    return own.fresh(g, alone=references <= _ALONE)


def edge_of(value: Value) -> Edge:
    """Return the edge of one of the Values that a user named as inputs."""
    if type(value) is not Value or value._edge is None:
        raise ArgumentError(f"backward(inputs=...) takes Values that need a gradient; it was given {value!r:.80}")
    return value._edge


def of(value: Value) -> Leaf:
    """Return the leaf of `value`, made for an intermediate result that has none."""
    leaf = value.retain_grad()._leaf()
    if leaf is None:
        raise AssertionError("retain_grad() makes one")
    return leaf
