"""What every call of an op touches of a `Value` and of an `Op`: the slots, without the names that users see.

- `Handle`: the base of `Value`, its only subclass; `wrap` makes one, `unwrap` looks into one.
- `Callee`: the base of whatever can be called like an op; `REQUIRED` stands for the default that an attribute lacks.

They are classes of their own because a compiled core makes C structs of them, while `Value` and `Op` stay Python
classes: these have weak references, and names that are looked up when they are asked for.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from autodiff.compiling import mypyc_attr

__all__ = ["REQUIRED", "Callee", "Handle", "make_values_of", "unwrap", "wrap"]

#: The default of an attribute that has none.
REQUIRED: Any = object()


@mypyc_attr(allow_interpreted_subclasses=True)
class Handle:
    """A raw array, and the edge of the graph where its gradient flows, None if none does."""

    __slots__ = ("_array", "_cell", "_edge")

    _array: Any
    _edge: Any
    _cell: Any  # of a leaf, or of a node that retains its gradient: whoever holds it can ask for that


@mypyc_attr(allow_interpreted_subclasses=True)
class Callee:
    """What the short paths look up of an op.

    They find a kernel only if they may call it. There is none in what must be called in full, by ``_full(args, attrs)``.

    Attributes
    ----------
    _count : int
        How many arrays it takes; -1 for any number.
    _defaults : dict
        Its attributes, with `REQUIRED` for those without a default.
    _quick : dict
        Kernels by types of arrays, see `Op._key`, of an op without attributes of at most two inputs.
    _short_plans : list
        Its plans whose nodes take all the edges that there are, by the inputs that need a gradient, as bits, and below
        them the three bits of the mode that say how an op is recorded.
    _known : dict
        Kernels of any op.
    _known_plans : dict
        Plans of any op, by the same bits with one more above the last input.
    _leaves_more : bool
        Whether its kernels return residuals behind the result.
    """

    __slots__ = ("_count", "_defaults", "_known", "_known_plans", "_leaves_more", "_quick", "_short_plans")

    _count: int
    _defaults: dict[str, Any]
    _quick: dict[Any, Any]
    _short_plans: list[Any]
    _known: dict[Any, Any]
    _known_plans: dict[int, Any]
    _leaves_more: bool


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
