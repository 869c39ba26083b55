"""Hooks on gradients: who wants to see, or replace, the cotangent of a leaf or a node."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from autodiff.errors import ArgumentTypeError, shown
from autodiff.graph import Leaf, Node, Watch

__all__ = ["WRITING", "Hook", "attach", "remember_stream", "watch"]

#: Held by whoever writes to what threads share of a graph: gradients of leaves, hooks, retained gradients.
WRITING = threading.RLock()


_keys = count()  # not the id of the handle, which the next one may get again


class Hook:
    """A hook on a gradient; `remove` takes it away."""

    __slots__ = ("_key", "_owner")

    def __init__(self, owner: Watch | Leaf, function: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._key = next(_keys)
        with WRITING:
            if owner.hooks is None:
                owner.hooks = {}
            owner.hooks[self._key] = function

    def remove(self) -> None:
        """Stop calling the hook."""
        if self._owner.hooks is not None:
            self._owner.hooks.pop(self._key, None)


def watch(node: Node) -> Watch:
    """Return what is watched of `node`, made if it is the first time."""
    with WRITING:
        if node.watch is None:
            node.watch = Watch()
        return node.watch


def attach(edge: Any, function: Any) -> Hook:
    """Put a hook on the gradient that arrives at `edge`.

    Raises
    ------
    ArgumentTypeError
        `function` is none.
    """
    if not callable(function):
        raise ArgumentTypeError(f"register_hook() takes a function of the gradient; it was given {shown(function, 80)}")
    return Hook(edge if type(edge) is Leaf else watch(edge), function)


def remember_stream(node: Node, stream: Any) -> None:
    """Note the stream on which a node's op was run; None is the default one, of which nothing need be noted."""
    if stream is not None:
        watch(node).stream = stream
