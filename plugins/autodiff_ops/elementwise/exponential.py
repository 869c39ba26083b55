"""Exponentials, logarithms, roots, and the functions made of them."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, elementwise, unary

_COMPLEX = [Sample((Array((4,), 0.5, 1.5, "complex"),))]


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
