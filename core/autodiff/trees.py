"""Nested arguments: optree, with None as a leaf and dataclasses flattened by field."""

from __future__ import annotations

import threading
from typing import Any

from autodiff.errors import ArgumentError

__all__ = ["flatten", "spread", "unflatten"]

_NAMESPACE = "autodiff"
_known: set[type] = set()
_lock = threading.Lock()


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a nesting of dicts, lists, tuples and dataclasses, and its structure."""
    import optree  # here, because importing it takes longer than importing autodiff

    try:
        leaves, treedef = optree.tree_flatten(tree, none_is_leaf=True, namespace=_NAMESPACE)
    except RecursionError:
        raise ArgumentError(f"A {type(tree).__name__} is nested too deeply, or contains itself") from None
    new = {type(leaf) for leaf in leaves if hasattr(type(leaf), "__dataclass_fields__")}
    if not new:
        return leaves, treedef
    for cls in new:
        with _lock:
            if cls not in _known:
                _register(cls)
    return flatten(tree)


def unflatten(treedef: Any, leaves: list[Any]) -> Any:
    """Build the nesting of this structure again."""
    import optree

    return optree.tree_unflatten(treedef, leaves)


def spread(prefix: Any, tree: Any) -> list[Any]:
    """Return for each leaf of `tree` the leaf of `prefix`, a nesting of its outer containers, that stands for it.

    Raises
    ------
    ValueError
        `prefix` is no such nesting.
    """
    import optree

    flatten(tree)  # registers what dataclasses there are
    try:
        return optree.broadcast_prefix(prefix, tree, none_is_leaf=True, namespace=_NAMESPACE)
    except RecursionError:
        raise ArgumentError(f"A {type(prefix).__name__} is nested too deeply, or contains itself") from None


def _register(cls: type) -> None:
    import dataclasses

    import optree

    # optree takes a plain dataclass for a leaf; we register each class, in a namespace of ours, when we meet it.
    names = [f.name for f in dataclasses.fields(cls)]

    def take_apart(obj: Any) -> tuple[list[Any], Any, list[str]]:
        return [getattr(obj, name) for name in names], None, names

    def put_together(_: Any, values: Any) -> Any:
        # Not through __init__: it may check or derive what is no array during a transform.
        obj: Any = object.__new__(cls)
        for name, value in zip(names, values, strict=True):
            object.__setattr__(obj, name, value)
        return obj

    optree.register_pytree_node(cls, take_apart, put_together, namespace=_NAMESPACE)
    _known.add(cls)  # last: other threads go on once it is there
