"""Sums, products, powers, and the parts of complex numbers.

Derivatives are those of calculus; where one does not exist the choice is stated in the docstring.
"""

from __future__ import annotations

import math
from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise, sample, unary

_ANY = binary()
_COMPLEX = [
    Sample((Array((3,), kind="complex"), Array((2, 3), kind="complex"))),
    Sample((Array((3,)), Array((3,), kind="complex"))),
]
_COMPLEX_UNARY = [Sample((Array((4,), kind="complex"),))]
_POSITIVE = (0.5, 2.0)


@elementwise(partials=(1, 1), c="x1 + x2", c_partials=("1", "1"), samples=[*_ANY, *_COMPLEX])
def add(x1: Any, x2: Any) -> Any:
    """Sum of `x1` and `x2`; both derivatives are 1.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.add(1.0, 2.0).item()
    3.0
    """


@elementwise(partials=(1, -1), c="x1 - x2", c_partials=("1", "-1"), samples=[*_ANY, *_COMPLEX])
def subtract(x1: Any, x2: Any) -> Any:
    """Difference of `x1` and `x2`; the derivatives are 1 and -1.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.subtract(1.0, 2.0).item()
    -1.0
    """


@elementwise(partials=(lambda x2: x2, lambda x1: x1), c="x1 * x2", c_partials=("x2", "x1"), samples=[*_ANY, *_COMPLEX])
def multiply(x1: Any, x2: Any) -> Any:
    """Product of `x1` and `x2`; the derivatives are `x2` and `x1`.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.multiply(3.0, 2.0).item()
    6.0
    """


@elementwise(
    partials=(lambda x2: 1 / x2, lambda x2, y: -y / x2),
    c="x1 / x2",
    c_partials=("1 / x2", "-y / x2"),
    samples=[*binary((-2.0, 2.0), _POSITIVE), *_COMPLEX],
)
def divide(x1: Any, x2: Any) -> Any:
    """Quotient of `x1` and `x2`; the derivatives are ``1 / x2`` and ``-x1 / x2**2``, infinite or NaN at ``x2 = 0``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.divide(3.0, 2.0).item()
    1.5
    """


@elementwise(partials=(None, None), samples=[Sample((Array((3,), 1.1, 1.9), Array((3,), 0.51, 0.54)))])
def floor_divide(x1: Any, x2: Any) -> Any:
    """Largest integer not above ``x1 / x2``; it is constant between jumps, hence not differentiable.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.floor_divide(7.0, 2.0).item()
    3.0
    """


@elementwise(
    partials=(1, lambda x1, x2, xp: -xp.floor_divide(x1, x2)),
    samples=[Sample((Array((2, 3), 1.1, 1.4), Array((3,), 0.52, 0.54)))],
)
def remainder(x1: Any, x2: Any) -> Any:
    """Remainder of `x1` by `x2`, with the sign of `x2`: ``x1 - x2 * floor(x1 / x2)``.

    Its derivatives are 1 and ``-floor(x1 / x2)``, also at the jumps.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.remainder(7.0, 4.0).item()
    3.0
    """


def _pow_partial_x1(x1: Any, x2: Any, xp: Any) -> Any:
    if isinstance(x2, int | float | complex):
        if x2 == 2:
            return 2 * x1
        return x2 * x1 ** (x2 - 1) if x2 != 0 else 0.0
    # x1**0 is constant, also at zero, where 0 * x1**-1 would be NaN.
    flat = x2 == 0
    return xp.where(flat, 0.0, x2 * x1 ** xp.where(flat, 1.0, x2 - 1))


def _pow_partial_x2(x1: Any, x2: Any, y: Any, xp: Any) -> Any:
    if isinstance(x1, int | float):
        if x1 > 0:
            return y * math.log(x1)
        x1 = xp.full_like(x2, x1)
    # 0**x2 is 0 for every positive x2, so that its derivative is 0 where the formula has 0 * log(0).
    real = xp.real(x2) if xp.isdtype(x2.dtype, "complex floating") else x2
    flat = (x1 == 0) & (real >= 0)
    return xp.where(flat, 0.0, y * xp.log(xp.where(flat, 1.0, x1)))


@elementwise(
    partials=(_pow_partial_x1, _pow_partial_x2),
    samples=[
        *binary(_POSITIVE, (-2.0, 2.0)),
        *(sample((2, 3), p) for p in (0, 1, 2, 3)),
        Sample((Array((3,), *_POSITIVE), 0.5)),
        Sample((2.0, Array((3,)))),
        Sample((Array((3,), 0.5, 1.0, "complex"), Array((3,), 0.5, 1.0, "complex"))),
        Sample((Array((3,), 0.5, 1.0, "complex"), Array((3,), 0.5, 2.0))),
        Sample((Array((3,), 0.5, 2.0), Array((3,), 0.5, 1.0, "complex"))),
    ],
)
def pow(x1: Any, x2: Any) -> Any:  # the array API's name
    """`x1` to the power `x2`.

    The partial derivatives are ``x2 * x1**(x2 - 1)`` and ``x1**x2 * log(x1)``. At ``x1 = 0``, where the
    formulas may give NaN, they are the limits: 0 for ``x2 = 0``, and 0 with respect to ``x2 >= 0``, as in
    PyTorch.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.pow(3.0, 2).item()
    9.0

    At zero:

    >>> x1, x2 = autodiff.Value([0.0, 0.0]), autodiff.Value([0.0, 2.0])
    >>> autodiff.ops.pow(x1, x2).sum().backward()
    >>> x1.grad, x2.grad
    (array([0., 0.]), array([0., 0.]))
    """


@elementwise(partials=(-1,), c="-x", c_partials=("-1",), samples=[*unary(), *_COMPLEX_UNARY])
def negative(x: Any) -> Any:
    """`x` with the opposite sign; the derivative is -1.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.negative(3.0).item()
    -3.0
    """


@elementwise(partials=(1,), c="x", c_partials=("1",), samples=[*unary(), *_COMPLEX_UNARY])
def positive(x: Any) -> Any:
    """`x` itself, as a new array; the derivative is 1.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.positive(3.0).item()
    3.0
    """


@elementwise(partials=(lambda x: 2 * x,), c="x * x", c_partials=("2 * x",), samples=[*unary(), *_COMPLEX_UNARY])
def square(x: Any) -> Any:
    """`x` times itself; the derivative is ``2 * x``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.square(3.0).item()
    9.0
    """


@elementwise(
    partials=(lambda y: -y * y,),
    c="1 / x",
    c_partials=("-y * y",),
    samples=[*unary(0.5, 2.0), *unary(-2.0, -0.5), Sample((Array((4,), 0.5, 1.5, "complex"),))],
)
def reciprocal(x: Any) -> Any:
    """``1 / x``; the derivative is ``-1 / x**2``, infinite at 0.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.reciprocal(4.0).item()
    0.25
    """


def _abs_vjp(g: Any, x: Any, xp: Any) -> Any:
    return g * xp.sign(x)


def _abs_jvp(t: Any, x: Any, xp: Any) -> Any:
    return xp.real(xp.conj(xp.sign(x)) * t)


@elementwise(
    vjps=(_abs_vjp,),
    jvps=(_abs_jvp,),
    c="fabs(x)",
    c_partials=("x > 0 ? 1 : x < 0 ? -1 : x",),  # NaN at NaN, as NumPy's sign
    samples=[*unary(0.1, 2.0), *unary(-2.0, -0.1), *_COMPLEX_UNARY],
    method=True,
)
def abs(x: Any) -> Any:  # the array API's name
    """Absolute value; for complex numbers, the modulus.

    The gradient is ``g * sign(x)``, with ``sign(z) = z / |z|``, and 0 at 0.

    Examples
    --------
    >>> from autodiff import Value
    >>> z = Value(3 + 4j)
    >>> (abs(z) ** 2).backward()
    >>> z.grad.item()
    (6+8j)
    """


def _sign_vjp(g: Any, x: Any, y: Any, x_dtype: Any, xp: Any) -> Any:
    if not xp.isdtype(x_dtype, "complex floating"):
        return None
    # What turns z turns z/|z|; what stretches it does not.
    size = xp.abs(x)
    return xp.where(size == 0, 0.0, (g - xp.real(g * xp.conj(y)) * y) / xp.where(size == 0, 1.0, size))


def _sign_jvp(t: Any, x: Any, y: Any, x_dtype: Any, xp: Any) -> Any:
    return _sign_vjp(t, x, y, x_dtype, xp)  # the projection is its own transpose


@elementwise(vjps=(_sign_vjp,), jvps=(_sign_jvp,), samples=[*unary(0.1, 2.0), *unary(-2.0, -0.1), *_COMPLEX_UNARY])
def sign(x: Any) -> Any:
    """-1, 0 or 1; for complex numbers ``z / |z|``, and 0 at 0.

    The derivative for real numbers is 0, also at 0.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.sign(-3.0).item()
    -1.0
    """


@elementwise(
    vjps=(lambda g, xp: xp.conj(g),), jvps=(lambda t, xp: xp.conj(t),), samples=[*unary(), *_COMPLEX_UNARY], method=True
)
def conj(x: Any) -> Any:
    """Complex conjugate, and of real numbers themselves; the gradient is ``conj(g)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.conj(1 + 2j).item()
    (1-2j)
    """


@elementwise(vjps=(lambda g: g,), jvps=(lambda t, xp: xp.real(t),), samples=[*unary(), *_COMPLEX_UNARY])
def real(x: Any) -> Any:
    """Real part, and of real numbers themselves; the gradient is `g`, which is real.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.real(1 + 2j).item()
    1.0
    """


@elementwise(vjps=(lambda g: g * 1j,), jvps=(lambda t, xp: xp.imag(t),), samples=_COMPLEX_UNARY)
def imag(x: Any) -> Any:
    """Imaginary part; the gradient is ``1j * g``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.imag(1 + 2j).item()
    2.0
    """


def _angle_vjp(g: Any, x: Any, x_dtype: Any, xp: Any) -> Any:
    if not xp.isdtype(x_dtype, "complex floating"):
        return None
    at_zero = x == 0
    return xp.where(at_zero, 0.0, g * 1j / xp.conj(xp.where(at_zero, 1.0, x)))


def _angle_jvp(t: Any, x: Any, x_dtype: Any, xp: Any) -> Any:
    if not xp.isdtype(x_dtype, "complex floating"):
        return None
    at_zero = x == 0
    return xp.where(at_zero, 0.0, xp.imag(t / xp.where(at_zero, 1.0, x)))


@elementwise(vjps=(_angle_vjp,), jvps=(_angle_jvp,), samples=[*unary(0.1, 2.0), *unary(-2.0, -0.1), *_COMPLEX_UNARY])
def angle(xp: Any, x: Any) -> Any:
    """Argument of a complex number, in ``[-pi, pi]``; of real numbers, integers included, 0 or pi.

    The gradient is ``g * 1j / conj(x)``, and 0 at 0, where there is no angle; for real numbers it is 0.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.angle(1 + 1j).item(), 4)
    0.7854
    """
    if xp.isdtype(x.dtype, "complex floating"):
        return xp.atan2(xp.imag(x), xp.real(x))
    if not xp.isdtype(x.dtype, "real floating"):
        x = xp.astype(x, xp.float64)
    return xp.atan2(xp.zeros_like(x), x)
