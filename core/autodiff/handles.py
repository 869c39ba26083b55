"""What every call of an op touches of a `Value` and of an `Op`: the slots, without the names that users see.

- `Handle`: the base of `Value`, its only subclass; `wrap` makes one, `unwrap` looks into one.
- `Callee`: the base of whatever can be called like an op.

They are classes of their own because a compiled core makes C structs of them, while `Value` and `Op` stay Python
classes: these have weak references, and names that are looked up when they are asked for.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from autodiff.compiling import mypyc_attr

__all__ = ["Callee", "Handle", "make_values_of", "unwrap", "wrap"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Handle:
    """A raw array, and the edge of the graph where its gradient flows, None if none does."""

    __slots__ = ("_array", "_cell", "_edge")

    _array: Any
    _edge: Any
    _cell: Any  # of a leaf, or of a node that retains its gradient: whoever holds it can ask for that


@mypyc_attr(allow_interpreted_subclasses=True)
class Callee:
    """What the short paths look up: kernels by type of array, plans by which inputs need a gradient.

    Both are empty in what must be called in full.
    """

    __slots__ = ("_quick", "_short_plans")

    _quick: dict[Any, Any]
    _short_plans: list[Any]


#: Makes an empty `Value`.
new_value: Any = None


def make_values_of(value_type: Any) -> None:
    """Let `wrap` make instances of `value_type`, which is `Value`."""
    global new_value  # noqa: PLW0603  # read at every call of an op
    new_value = partial(value_type.__new__, value_type)


def wrap(data: Any, edge: Any) -> Any:
    """Make a `Value` without looking at what it holds."""
    value: Handle = new_value()
    value._array = data
    value._edge = edge
    return value


def unwrap(obj: Any) -> Any:
    """Return the raw data of a `Value`; anything else as it is."""
    return obj._array if isinstance(obj, Handle) else obj
