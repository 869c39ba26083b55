"""Comparisons and tests of numbers, which are not differentiable, and the choices that they decide."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise, unary

_PAIRS = [Sample((Array((2, 3)), Array((3,)))), Sample((Array(()), 0.25))]
_NUMBERS = [Sample((Array((2, 3)),)), Sample((Array((3,), kind="complex"),))]


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


def _test_of_numbers(name: str, meaning: str, example: str) -> Any:
    def test(x: Any) -> Any: ...

    test.__name__ = test.__qualname__ = name
    test.__doc__ = f"""Whether `x` is {meaning}, element by element; not differentiable.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.{name}(float("inf")).item()
    {example}
    """
    return elementwise(partials=(None,), samples=_NUMBERS)(test)


isnan = _test_of_numbers("isnan", "not a number", "False")
isinf = _test_of_numbers("isinf", "infinite", "True")
isfinite = _test_of_numbers("isfinite", "neither infinite nor NaN", "False")


def _where_larger(g: Any, mine: Any, other: Any, xp: Any) -> Any:
    """Return `g` where `mine` is the larger, half of it where they tie."""
    return xp.where(mine > other, g, xp.where(mine == other, g / 2, 0.0))


def _maximum_vjp_x1(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(g, x1, x2, xp)


def _maximum_vjp_x2(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(g, x2, x1, xp)


def _maximum_jvp_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(t, x1, x2, xp)


def _maximum_jvp_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(t, x2, x1, xp)


@elementwise(
    vjps=(_maximum_vjp_x1, _maximum_vjp_x2),
    jvps=(_maximum_jvp_x1, _maximum_jvp_x2),
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


def _minimum_vjp_x1(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(g, x2, x1, xp)


def _minimum_vjp_x2(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(g, x1, x2, xp)


def _minimum_jvp_x1(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(t, x2, x1, xp)


def _minimum_jvp_x2(t: Any, x1: Any, x2: Any, xp: Any) -> Any:
    return _where_larger(t, x1, x2, xp)


@elementwise(
    vjps=(_minimum_vjp_x1, _minimum_vjp_x2),
    jvps=(_minimum_jvp_x1, _minimum_jvp_x2),
    c="x1 < x2 ? x1 : x2",
    c_partials=("x1 < x2 ? 1 : x1 == x2 ? (T)0.5 : 0", "x2 < x1 ? 1 : x1 == x2 ? (T)0.5 : 0"),
    samples=binary((-2.0, 2.0), (-2.1, 2.1)),
)
def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of `x1` and `x2`; NaN if either is.

    The gradient goes to the smaller; where they tie, half to each.

    Examples
    --------
    >>> from autodiff import Value, ops
    >>> a, b = Value(1.0), Value(1.0)
    >>> ops.minimum(a, b).backward()
    >>> print(a.grad, b.grad)
    0.5 0.5
    """


def _inside(x: Any, min: Any, max: Any) -> Any:  # the attributes' names
    if min is None:
        return x <= max
    return x >= min if max is None else (x >= min) & (x <= max)


def _clip_vjp(g: Any, x: Any, min: Any, max: Any, xp: Any) -> Any:
    return g if min is None and max is None else xp.where(_inside(x, min, max), g, 0.0)


def _clip_jvp(t: Any, x: Any, min: Any, max: Any, xp: Any) -> Any:
    return _clip_vjp(t, x, min, max, xp)


@elementwise(
    vjps=(_clip_vjp,),
    jvps=(_clip_jvp,),
    samples=[
        *unary(-0.9, 0.9, min=-1, max=1),
        *unary(1.1, 2.0, min=-1.0, max=1.0),
        *unary(-2.0, -1.1, min=-1.0),
        *unary(1.1, 2.0, max=1.0),
        *unary(-3.0, 4.0, min=-2.0, max=3.0),
    ],
    method=True,
)
def clip(xp: Any, x: Any, *, min: Any = None, max: Any = None) -> Any:  # the array API's names
    """`x` brought into ``[min, max]``.

    The derivative is 1 inside and at the bounds, and 0 outside, as in PyTorch.

    Parameters
    ----------
    x : array
        Real numbers; NaN stays NaN.
    min, max : number or None
        The bounds; None is no bound. Where ``min > max`` the result is `max`. For bounds that are arrays, or
        need a gradient, use `maximum` and `minimum`.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value([-2.0, 1.0, 5.0])
    >>> x.clip(0.0, 1.0).sum().backward()
    >>> x.grad
    array([0., 1., 0.])

    At a bound, with both or with one of them:

    >>> x = Value([0.0, 1.0])
    >>> sum(y.sum() for y in (x.clip(0.0, 1.0), x.clip(min=0.0), x.clip(max=1.0))).backward()
    >>> x.grad
    array([3., 3.])
    """
    return xp.clip(x, min, max)


def _where_vjp_x1(g: Any, condition: Any, xp: Any) -> Any:
    return xp.where(condition, g, 0.0)


def _where_vjp_x2(g: Any, condition: Any, xp: Any) -> Any:
    return xp.where(condition, 0.0, g)


def _where_jvp_x1(t: Any, condition: Any, xp: Any) -> Any:
    return xp.where(condition, t, 0.0)


def _where_jvp_x2(t: Any, condition: Any, xp: Any) -> Any:
    return xp.where(condition, 0.0, t)


@elementwise(
    vjps=(None, _where_vjp_x1, _where_vjp_x2),
    jvps=(None, _where_jvp_x1, _where_jvp_x2),
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
