"""Functions of elements that NumPy has beside the standard: angles, sinc, other remainders and extrema."""

from __future__ import annotations

import math
from typing import Any

from autodiff.extend import Array, Sample, binary, composite, elementwise, unary
from autodiff_ops.elementwise.comparison import isnan, maximum, minimum, where
from autodiff_ops.elementwise.exponential import c_share, difference
from autodiff_ops.elementwise.trigonometric import sin
from autodiff_ops.shapes import arrayed, require_real

_DEGREE = math.pi / 180
_LN2 = math.log(2)


@elementwise(partials=(_DEGREE,), samples=unary())
def deg2rad(xp: Any, x: Any) -> Any:
    """Radians from degrees; the derivative is ``pi / 180``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.deg2rad(180.0).item()
    3.141592653589793
    """
    return x * _DEGREE


@elementwise(partials=(1 / _DEGREE,), samples=unary())
def rad2deg(xp: Any, x: Any) -> Any:
    """Degrees from radians; the derivative is ``180 / pi``.

    Examples
    --------
    >>> import math
    >>> import autodiff
    >>> autodiff.ops.rad2deg(math.pi).item()
    180.0
    """
    return x * (1 / _DEGREE)


@elementwise(
    partials=(1, lambda x1, x2, xp: -xp.trunc(x1 / x2)),
    samples=[
        Sample((Array((2, 3), 1.1, 1.4), Array((3,), 0.52, 0.54))),
        Sample((Array((3,), -1.4, -1.1), Array((3,), 0.52, 0.54))),
        Sample((Array((3,), 1.1, 1.4), -0.53)),
    ],
)
def fmod(xp: Any, x1: Any, x2: Any) -> Any:
    """Remainder of `x1` by `x2`, with the sign of `x1`: ``x1 - x2 * trunc(x1 / x2)``.

    Its derivatives are 1 and ``-trunc(x1 / x2)``, also at the jumps.

    Raises
    ------
    ArgumentTypeError
        The numbers are complex.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.fmod(-7.0, 4.0).item()
    -3.0
    """
    require_real("fmod", xp.result_type(x1, x2), xp)
    if hasattr(xp, "fmod"):  # not in the array API standard
        return xp.fmod(x1, x2)
    # Of positive numbers both remainders are one.
    rest = xp.remainder(abs(x1), abs(x2))
    return xp.where(x1 < 0, -rest, rest)


@elementwise(partials=(None, None), samples=[Sample((Array((3,), 0.5, 1.0), 0.5)), *binary((-2.0, -0.1))])
def heaviside(xp: Any, x1: Any, x2: Any) -> Any:
    """0 where `x1` is negative, 1 where it is positive, and `x2` where it is 0; not differentiable.

    Raises
    ------
    ArgumentTypeError
        The numbers are complex.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.heaviside(np.array([-1.0, 0.0, 1.0]), 0.5)
    array([0. , 0.5, 1. ])
    """
    require_real("heaviside", xp.result_type(x1, x2), xp)
    if hasattr(xp, "heaviside"):  # not in the array API standard
        return xp.heaviside(x1, x2)
    y = xp.where(x1 > 0, 1.0, xp.where(x1 == 0, x2, xp.where(x1 != x1, x1, 0.0)))
    return xp.astype(y, xp.result_type(x1, x2))


@composite(samples=binary((-2.0, -0.2), (0.2, 2.0)))
def fmax(x1: Any, x2: Any) -> Any:
    """The larger of two elements, and where one is NaN the other; half the gradient to each where they tie.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.fmax(float("nan"), 2.0).item()
    2.0
    """
    return _without_nan(x1, x2, maximum)


@composite(samples=binary((-2.0, -0.2), (0.2, 2.0)))
def fmin(x1: Any, x2: Any) -> Any:
    """The smaller of two elements, and where one is NaN the other; half the gradient to each where they tie.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.fmin(float("nan"), 2.0).item()
    2.0
    """
    return _without_nan(x1, x2, minimum)


def _without_nan(x1: Any, x2: Any, extremum: Any) -> Any:
    y = extremum(x1, x2)
    for x, other in ((x2, x1), (x1, x2)):
        if not isinstance(x, int | float):
            y = where(isnan(x), other, y)
        elif x != x:
            y = where(isnan(y), other, y)  # a number is on no backend; where it is NaN, so is all of y
    return y


def _logaddexp2_partial_x1(x1: Any, x2: Any, xp: Any) -> Any:
    d = difference(x1, x2, xp) * _LN2
    return xp.exp(xp.minimum(d, 0)) / (1 + xp.exp(-xp.abs(d)))


def _logaddexp2_partial_x2(x1: Any, x2: Any, xp: Any) -> Any:
    return _logaddexp2_partial_x1(x2, x1, xp)


@elementwise(
    partials=(_logaddexp2_partial_x1, _logaddexp2_partial_x2),
    c=f"(x1 > x2 ? x1 : x2) + (x1 == x2 ? 1 : log1p(exp2(-fabs(x1 - x2))) * (T){1 / _LN2!r})",
    c_partials=(c_share("x1", "x2", "exp2"), c_share("x2", "x1", "exp2")),
    samples=binary(),
)
def logaddexp2(xp: Any, x1: Any, x2: Any) -> Any:
    """``log2(2**x1 + 2**x2)``, without overflow, for real numbers.

    The derivatives are the shares of the two, ``1 / (1 + 2**(x2 - x1))`` and the other way round, and 0 where both are -inf.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.logaddexp2(3.0, 3.0).item()
    4.0
    """
    if hasattr(xp, "logaddexp2"):  # not in the array API standard
        return xp.logaddexp2(x1, x2)
    return xp.logaddexp(x1 * _LN2, x2 * _LN2) * (1 / _LN2)


@composite(samples=[*unary(0.1, 2.9), *unary(-2.9, -0.1)])
def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``, and 1 at 0, where its derivatives are those of the power series, to the second order.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.sinc(0.0).item()
    1.0
    """
    angle = arrayed(x) * math.pi
    zero = angle == 0
    safe = where(zero, 1.0, angle)
    return where(zero, 1.0 - angle * angle / 6.0, sin(safe) / safe)
