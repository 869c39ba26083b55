"""Logic of booleans and bits of integers; nothing here is differentiable."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, elementwise

_BOOLS = [
    Sample((Array((2, 3), kind="bool"), Array((3,), kind="bool"))),
    Sample((Array((3,), kind="bool"), Array((0, 3), kind="bool"))),
]
_BITS = [Sample((Array((3,), 0, 9, "int"), Array((3,), 0, 9, "int"))), _BOOLS[0]]
_SHIFTS = [
    Sample((Array((2, 3), 0, 9, "int"), Array((3,), 0, 4, "int"))),
    Sample((Array((3,), 0, 9, "int"), 2)),
]


def _logical(name: str, meaning: str, example: str) -> Any:
    def decide(x1: Any, x2: Any) -> Any: ...

    decide.__name__ = decide.__qualname__ = name
    decide.__doc__ = f"""Whether {meaning} `x1` and `x2` is true, element by element; not differentiable.

    Numbers count as true unless they are 0.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.{name}(np.array([True, True, False]), np.array([True, False, False]))
    {example}
    """
    return elementwise(partials=(None, None), samples=_BOOLS)(decide)


logical_and = _logical("logical_and", "each of", "array([ True, False, False])")
logical_or = _logical("logical_or", "at least one of", "array([ True,  True, False])")
logical_xor = _logical("logical_xor", "exactly one of", "array([False,  True, False])")


@elementwise(partials=(None,), samples=[Sample((Array((2, 3), kind="bool"),))])
def logical_not(x: Any) -> Any:
    """Whether `x` is false, element by element; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.logical_not(np.array([True, False]))
    array([False,  True])
    """


@elementwise(partials=(None, None), samples=_BITS)
def bitwise_and(x1: Any, x2: Any) -> Any:
    """Bits that both have, for integers and booleans; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.bitwise_and(np.array([6]), np.array([3]))
    array([2])
    """


@elementwise(partials=(None, None), samples=_BITS)
def bitwise_or(x1: Any, x2: Any) -> Any:
    """Bits that either has, for integers and booleans; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.bitwise_or(np.array([6]), np.array([3]))
    array([7])
    """


@elementwise(partials=(None, None), samples=_BITS)
def bitwise_xor(x1: Any, x2: Any) -> Any:
    """Bits that one has and the other has not, for integers and booleans; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.bitwise_xor(np.array([6]), np.array([3]))
    array([5])
    """


@elementwise(partials=(None,), samples=[Sample((Array((3,), 0, 9, "int"),)), Sample((Array((3,), kind="bool"),))])
def bitwise_invert(x: Any) -> Any:
    """Bits inverted, for integers and booleans; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.bitwise_invert(np.array([True, False]))
    array([False,  True])
    """


@elementwise(partials=(None, None), samples=_SHIFTS)
def bitwise_left_shift(x1: Any, x2: Any) -> Any:
    """Bits of `x1` moved up by `x2` places, for integers; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.bitwise_left_shift(np.array([3]), 2)
    array([12])
    """


@elementwise(partials=(None, None), samples=_SHIFTS)
def bitwise_right_shift(x1: Any, x2: Any) -> Any:
    """Bits of `x1` moved down by `x2` places, the sign kept, for integers; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.bitwise_right_shift(np.array([12, -8]), 2)
    array([ 3, -2])
    """
