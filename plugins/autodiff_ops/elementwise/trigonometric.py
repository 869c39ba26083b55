"""Trigonometric and hyperbolic functions, their inverses, and lengths and angles in the plane.

Rules are those of M. Abramowitz, I. Stegun, "Handbook of Mathematical Functions" (1964), 4.3 to 4.6; the branch
cuts of complex numbers are the array API standard's.
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise, sample, unary

_COMPLEX = [Sample((Array((4,), 0.2, 1.2, "complex"),))]
_INSIDE = (-0.8, 0.8)


@elementwise(
    partials=(lambda x, xp: xp.cos(x),), c="sin(x)", c_partials=("cos(x)",), samples=[*unary(), *_COMPLEX], method=True
)
def sin(x: Any) -> Any:
    """Sine of `x` in radians; the derivative is ``cos(x)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.sin(0.0).item()
    0.0
    """


@elementwise(
    partials=(lambda x, xp: -xp.sin(x),),
    c="cos(x)",
    c_partials=("-sin(x)",),
    samples=[*unary(), *_COMPLEX],
    method=True,
)
def cos(x: Any) -> Any:
    """Cosine of `x` in radians; the derivative is ``-sin(x)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.cos(0.0).item()
    1.0
    """


@elementwise(
    partials=(lambda y: 1 + y * y,), c="tan(x)", c_partials=("1 + y * y",), samples=[*unary(-1.2, 1.2), *_COMPLEX]
)
def tan(x: Any) -> Any:
    """Tangent of `x` in radians; the derivative is ``1 + tan(x)**2``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.tan(0.0).item()
    0.0
    """


def _asin_partial(x: Any, xp: Any) -> Any:
    # Of the product of differences no digits are lost near 1, as they would be in 1 - x * x.
    return 1 / xp.sqrt((1 - x) * (1 + x))


def _acos_partial(x: Any, xp: Any) -> Any:
    return -1 / xp.sqrt((1 - x) * (1 + x))


@elementwise(
    partials=(_asin_partial,),
    c="asin(x)",
    c_partials=("1 / sqrt((1 - x) * (1 + x))",),
    samples=[*unary(*_INSIDE), *_COMPLEX],
)
def asin(x: Any) -> Any:
    """Inverse sine, for ``-1 <= x <= 1``; the derivative is ``1 / sqrt(1 - x**2)``, infinite at the ends.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.asin(0.0).item()
    0.0
    """


@elementwise(
    partials=(_acos_partial,),
    c="acos(x)",
    c_partials=("-1 / sqrt((1 - x) * (1 + x))",),
    samples=[*unary(*_INSIDE), *_COMPLEX],
)
def acos(x: Any) -> Any:
    """Inverse cosine, for ``-1 <= x <= 1``; the derivative is ``-1 / sqrt(1 - x**2)``, infinite at the ends.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.acos(1.0).item()
    0.0
    """


@elementwise(
    partials=(lambda x: 1 / (1 + x * x),), c="atan(x)", c_partials=("1 / (1 + x * x)",), samples=[*unary(), *_COMPLEX]
)
def atan(x: Any) -> Any:
    """Inverse tangent; the derivative is ``1 / (1 + x**2)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.atan(0.0).item()
    0.0
    """


@elementwise(partials=(lambda x, xp: xp.cosh(x),), c="sinh(x)", c_partials=("cosh(x)",), samples=[*unary(), *_COMPLEX])
def sinh(x: Any) -> Any:
    """Hyperbolic sine; the derivative is ``cosh(x)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.sinh(0.0).item()
    0.0
    """


@elementwise(partials=(lambda x, xp: xp.sinh(x),), c="cosh(x)", c_partials=("sinh(x)",), samples=[*unary(), *_COMPLEX])
def cosh(x: Any) -> Any:
    """Hyperbolic cosine; the derivative is ``sinh(x)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.cosh(0.0).item()
    1.0
    """


@elementwise(
    partials=(lambda x, xp: 1 / xp.sqrt(1 + x * x),),
    c="asinh(x)",
    c_partials=("1 / sqrt(1 + x * x)",),
    samples=[*unary(), *_COMPLEX],
)
def asinh(x: Any) -> Any:
    """Inverse hyperbolic sine; the derivative is ``1 / sqrt(1 + x**2)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.asinh(0.0).item()
    0.0
    """


@elementwise(
    # Two roots: that of the product is on the wrong sheet for half of the complex plane.
    partials=(lambda x, xp: 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1)),),
    c="acosh(x)",
    c_partials=("1 / (sqrt(x - 1) * sqrt(x + 1))",),
    samples=[*unary(1.2, 3.0), *_COMPLEX, Sample((Array((4,), -1.2, -0.2, "complex"),))],
)
def acosh(x: Any) -> Any:
    """Inverse hyperbolic cosine, for ``x >= 1``; the derivative is ``1 / sqrt(x**2 - 1)``, infinite at 1.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.acosh(1.0).item()
    0.0
    """


@elementwise(
    partials=(lambda x: 1 / ((1 - x) * (1 + x)),),
    c="atanh(x)",
    c_partials=("1 / ((1 - x) * (1 + x))",),
    samples=[*unary(*_INSIDE), *_COMPLEX],
)
def atanh(x: Any) -> Any:
    """Inverse hyperbolic tangent, for ``-1 <= x <= 1``; the derivative is ``1 / (1 - x**2)``.

    Value and derivative are infinite at the ends.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.atanh(0.0).item()
    0.0
    """


def _over(x: Any, r: Any, times: int, xp: Any) -> Any:
    """Return `x` divided by the distance `r` from the origin so many times; 0 at the origin, to every order."""
    origin = r == 0
    safe = xp.where(origin, 1.0, r)
    for _ in range(times):
        x = x / safe
    return xp.where(origin, 0.0, x)


def _atan2_partial_x1(x1: Any, x2: Any, xp: Any) -> Any:
    # Not the sum of squares, which overflows and underflows long before the distance does.
    return _over(x2, xp.hypot(x1, x2), 2, xp)


def _atan2_partial_x2(x1: Any, x2: Any, xp: Any) -> Any:
    return -_over(x1, xp.hypot(x1, x2), 2, xp)


@elementwise(
    partials=(_atan2_partial_x1, _atan2_partial_x2),
    c="atan2(x1, x2)",
    c_partials=(
        "x1 == 0 && x2 == 0 ? 0 : x2 / hypot(x1, x2) / hypot(x1, x2)",
        "x1 == 0 && x2 == 0 ? 0 : -x1 / hypot(x1, x2) / hypot(x1, x2)",
    ),
    samples=[*binary((0.5, 2.0), (0.5, 2.0)), *binary((0.5, 2.0), (-2.0, -0.5)), sample(Array((3,), -2.0, -0.5), 1.5)],
)
def atan2(x1: Any, x2: Any) -> Any:
    """Angle of the point with the coordinates `x2` (first) and `x1`, in ``[-pi, pi]``.

    The derivatives are ``x2 / (x1**2 + x2**2)`` and ``-x1 / (x1**2 + x2**2)``, without overflow. At the
    origin, where there is none, they are 0, as in PyTorch.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.atan2(1.0, 1.0).item(), 4)
    0.7854
    """


def _hypot_partial_x1(x1: Any, y: Any, xp: Any) -> Any:
    return _over(x1, y, 1, xp)


def _hypot_partial_x2(x2: Any, y: Any, xp: Any) -> Any:
    return _over(x2, y, 1, xp)


@elementwise(
    partials=(_hypot_partial_x1, _hypot_partial_x2),
    c="hypot(x1, x2)",
    c_partials=("y == 0 ? 0 : x1 / y", "y == 0 ? 0 : x2 / y"),
    samples=binary((0.5, 2.0), (-2.0, -0.5)),
)
def hypot(x1: Any, x2: Any) -> Any:
    """Length of the hypotenuse, ``sqrt(x1**2 + x2**2)``, without overflow.

    The derivatives are ``x1 / y`` and ``x2 / y``, and 0 at the origin, like those of every norm here.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.hypot(3.0, 4.0).item()
    5.0
    """
