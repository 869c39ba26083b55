"""Exponentials, logarithms, roots, and the functions made of them."""

from __future__ import annotations

import math
from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise, unary

_COMPLEX = [Sample((Array((4,), 0.5, 1.5, "complex"),))]
_LN2, _LN10 = math.log(2.0), math.log(10.0)


@elementwise(partials=(lambda y: y,), c="exp(x)", c_partials=("y",), samples=[*unary(), *_COMPLEX], method=True)
def exp(x: Any) -> Any:
    """Exponential function; it is its own derivative.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.exp(0.0).item()
    1.0
    """


@elementwise(
    partials=(lambda y: _LN2 * y,), c="exp2(x)", c_partials=(f"(T){_LN2!r} * y",), samples=[*unary(), *_COMPLEX]
)
def exp2(xp: Any, x: Any) -> Any:
    """2 to the power `x`; the derivative is ``log(2) * 2**x``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.exp2(3.0).item()
    8.0
    """
    return xp.exp2(x) if hasattr(xp, "exp2") else 2.0**x  # not in the array API standard


@elementwise(partials=(lambda y: y + 1,), c="expm1(x)", c_partials=("y + 1",), samples=[*unary(), *_COMPLEX])
def expm1(x: Any) -> Any:
    """``exp(x) - 1``, with all its digits near 0; the derivative is ``exp(x)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.expm1(1e-20).item()
    1e-20
    """


@elementwise(
    partials=(lambda x: 1 / x,), c="log(x)", c_partials=("1 / x",), samples=[*unary(0.5, 3.0), *_COMPLEX], method=True
)
def log(x: Any) -> Any:
    """Natural logarithm, for ``x > 0``; the derivative is ``1 / x``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.log(1.0).item()
    0.0
    """


@elementwise(
    partials=(lambda x: 1 / (1 + x),),
    c="log1p(x)",
    c_partials=("1 / (1 + x)",),
    samples=[*unary(-0.5, 3.0), *_COMPLEX],
)
def log1p(x: Any) -> Any:
    """``log(1 + x)``, with all its digits near 0, for ``x > -1``; the derivative is ``1 / (1 + x)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.log1p(1e-20).item()
    1e-20
    """


@elementwise(
    partials=(lambda x: 1 / (_LN2 * x),),
    c="log2(x)",
    c_partials=(f"1 / ((T){_LN2!r} * x)",),
    samples=[*unary(0.5, 3.0), *_COMPLEX],
)
def log2(x: Any) -> Any:
    """Logarithm to the base 2, for ``x > 0``; the derivative is ``1 / (x * log(2))``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.log2(8.0).item()
    3.0
    """


@elementwise(
    partials=(lambda x: 1 / (_LN10 * x),),
    c="log10(x)",
    c_partials=(f"1 / ((T){_LN10!r} * x)",),
    samples=[*unary(0.5, 3.0), *_COMPLEX],
)
def log10(x: Any) -> Any:
    """Logarithm to the base 10, for ``x > 0``; the derivative is ``1 / (x * log(10))``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.log10(1000.0).item()
    3.0
    """


def difference(x: Any, other: Any, xp: Any) -> Any:
    """Return ``x - other``, and -inf of two -inf: nothing is of a sum that is nothing."""
    return x - xp.where(x == -math.inf, xp.zeros_like(x), other)


def _logaddexp_partial_x1(x1: Any, x2: Any, xp: Any) -> Any:
    d = difference(x1, x2, xp)
    return xp.exp(xp.minimum(d, 0)) / (1 + xp.exp(-xp.abs(d)))


def _logaddexp_partial_x2(x1: Any, x2: Any, xp: Any) -> Any:
    return _logaddexp_partial_x1(x2, x1, xp)


def c_share(x: str, other: str, exp: str) -> str:
    """Return the same in C."""
    return f"isinf({x}) && {x} < 0 ? 0 : 1 / (1 + {exp}({other} - {x}))"


@elementwise(
    partials=(_logaddexp_partial_x1, _logaddexp_partial_x2),
    c=f"(x1 > x2 ? x1 : x2) + (x1 == x2 ? (T){math.log(2)!r} : log1p(exp(-fabs(x1 - x2))))",
    c_partials=(c_share("x1", "x2", "exp"), c_share("x2", "x1", "exp")),
    samples=binary(),
)
def logaddexp(x1: Any, x2: Any) -> Any:
    """``log(exp(x1) + exp(x2))``, without overflow.

    The derivatives are the shares of the two, ``1 / (1 + exp(x2 - x1))`` and ``1 / (1 + exp(x1 - x2))``, and 0 where
    both are -inf.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.logaddexp(1000.0, 1000.0).item(), 4)
    1000.6931
    """


@elementwise(
    partials=(lambda y: 0.5 / y,),
    c="sqrt(x)",
    c_partials=("(T)0.5 / y",),
    samples=[*unary(0.5, 3.0), *_COMPLEX],
    method=True,
)
def sqrt(x: Any) -> Any:
    """Square root, for ``x >= 0``; the derivative is ``1 / (2 sqrt(x))``, infinite at 0.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.sqrt(9.0).item()
    3.0
    """


@elementwise(
    partials=(lambda y: 1 / (3 * y * y),),
    c="cbrt(x)",
    c_partials=("1 / (3 * y * y)",),
    reference="scipy.special:cbrt",
    samples=[*unary(0.5, 3.0), *unary(-3.0, -0.5)],
)
def cbrt(xp: Any, x: Any) -> Any:
    """Cube root of real numbers, negative ones too; the derivative is ``1 / (3 cbrt(x)**2)``, infinite at 0.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.cbrt(-27.0).item()
    -3.0
    """
    if hasattr(xp, "cbrt"):  # not in the array API standard
        return xp.cbrt(x)
    return xp.sign(x) * xp.abs(x) ** (1 / 3)


@elementwise(
    partials=(lambda y: 1 - y * y,), c="tanh(x)", c_partials=("1 - y * y",), samples=[*unary(), *_COMPLEX], method=True
)
def tanh(x: Any) -> Any:
    """Hyperbolic tangent; the derivative is ``1 - tanh(x)**2``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.tanh(0.0).item()
    0.0
    """
