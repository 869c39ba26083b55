"""Comparisons, which are not differentiable, and the choices that they decide."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise

_PAIRS = [Sample((Array((2, 3)), Array((3,)))), Sample((Array(()), 0.25))]
_BITS = [
    Sample((Array((3,), 0, 9, "int"), Array((3,), 0, 9, "int"))),
    Sample((Array((2, 3), kind="bool"), Array((3,), kind="bool"))),
]


def _comparison(name: str, meaning: str, example: str) -> Any:
    def compare(x1: Any, x2: Any) -> Any: ...

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"""Whether ``x1 {meaning} x2``, element by element; not differentiable.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.{name}(1.0, 2.0).item()
    {example}
    """
    return elementwise(partials=(None, None), samples=_PAIRS)(compare)


equal = _comparison("equal", "==", "False")
not_equal = _comparison("not_equal", "!=", "True")
less = _comparison("less", "<", "True")
less_equal = _comparison("less_equal", "<=", "True")
greater = _comparison("greater", ">", "False")
greater_equal = _comparison("greater_equal", ">=", "False")


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


def _maximum_vjp_x1(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return xp.where(x1 > x2, g, xp.where(x1 == x2, g / 2, 0.0))


def _maximum_vjp_x2(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return xp.where(x2 > x1, g, xp.where(x1 == x2, g / 2, 0.0))


@elementwise(
    vjps=(_maximum_vjp_x1, _maximum_vjp_x2),
    c="x1 > x2 ? x1 : x2",
    c_partials=("x1 > x2 ? 1 : x1 == x2 ? (T)0.5 : 0", "x2 > x1 ? 1 : x1 == x2 ? (T)0.5 : 0"),
    samples=binary((-2.0, 2.0), (-2.1, 2.1)),
)
def maximum(x1: Any, x2: Any) -> Any:
    """The larger of `x1` and `x2`; NaN if either is.

    The gradient goes to the larger; where they tie, half to each.

    Examples
    --------
    >>> from autodiff import Value, ops
    >>> a, b = Value(1.0), Value(1.0)
    >>> ops.maximum(a, b).backward()
    >>> print(a.grad, b.grad)
    0.5 0.5
    """


def _where_vjp_x1(g: Any, condition: Any, xp: Any) -> Any:
    return xp.where(condition, g, 0.0)


def _where_vjp_x2(g: Any, condition: Any, xp: Any) -> Any:
    return xp.where(condition, 0.0, g)


@elementwise(
    vjps=(None, _where_vjp_x1, _where_vjp_x2),
    samples=[
        Sample((Array((3,), kind="bool"), Array((3,)), Array((3,)))),
        Sample((Array((2, 1), kind="bool"), Array((3,)), Array(()))),
        Sample((Array((3,), kind="bool"), Array((3,)), 0.5)),
        Sample((Array((3,), kind="bool"), Array((3,), kind="complex"), Array((3,), kind="complex"))),
    ],
)
def where(condition: Any, x1: Any, x2: Any) -> Any:
    """`x1` where `condition` holds and `x2` elsewhere.

    The gradient selects too and never multiplies by the mask, so that NaN and infinity in the branch not
    taken stay out of the gradient of `where` itself. They can still arise in the op that made that branch:
    guard its input, ``where(x > 0, log(where(x > 0, x, 1)), 0)``.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.where(np.array([True, False]), 1.0, 2.0)
    array([1., 2.])
    """
