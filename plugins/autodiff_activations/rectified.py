"""Rectifiers: the identity above zero, and something smaller below.

Kernels are sums of the parts above and below zero, which need no mask; rules select, so that an infinite
cotangent meets no zero.
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, elementwise, unary
from autodiff_activations.reals import real

_SIDES = ((0.1, 2.0), (-2.0, -0.1))


def _on_both_sides(**attrs: Any) -> list[Sample]:
    return [sample for side in _SIDES for sample in unary(*side, **attrs)]


def _require_positive(name: str, value: float, *, zero: bool = False) -> None:
    if not (value > 0 or (zero and value == 0)):
        raise ArgumentError(f"{name} was given {value!r}; expected a number {'>= 0' if zero else '> 0'}")


@elementwise(
    vjps=(lambda g, y, xp: xp.where(y > 0, g, 0.0),),
    jvps=(lambda t, y, xp: xp.where(y > 0, t, 0.0),),
    c="x < 0 ? 0 : x",
    c_partials=("y > 0 ? 1 : 0",),
    samples=_on_both_sides(),
    method=True,
)
def relu(xp: Any, x: Any) -> Any:
    """Rectified linear unit, ``max(x, 0)``; the derivative is 0 at 0.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value([-1.0, 0.0, 2.0])
    >>> x.relu().sum().backward()
    >>> x.grad
    array([0., 0., 1.])
    """
    x = real("relu", x, xp)
    return xp.maximum(x, 0)


@elementwise(
    vjps=(lambda g, x, negative_slope, xp: xp.where(x > 0, g, negative_slope * g),),
    jvps=(lambda t, x, negative_slope, xp: xp.where(x > 0, t, negative_slope * t),),
    c="x > 0 ? x : negative_slope * x",
    c_partials=("x > 0 ? 1 : negative_slope",),
    samples=[*_on_both_sides(), *_on_both_sides(negative_slope=0.25), *_on_both_sides(negative_slope=-1.0)],
)
def leaky_relu(xp: Any, x: Any, *, negative_slope: float = 0.01) -> Any:
    """`x` above 0 and ``negative_slope * x`` below; the derivative at 0 is `negative_slope`, as in PyTorch.

    References
    ----------
    A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    x = real("leaky_relu", x, xp)
    return xp.maximum(x, 0) + negative_slope * xp.minimum(x, 0)


@elementwise(
    vjps=(
        lambda g, x, weight, xp: xp.where(x > 0, g, weight * g),
        lambda g, x, xp: xp.where(x > 0, 0.0, x * g),
    ),
    jvps=(
        lambda t, x, weight, xp: xp.where(x > 0, t, weight * t),
        lambda t, x, xp: xp.where(x > 0, 0.0, x * t),
    ),
    c="x > 0 ? x : weight * x",
    c_partials=("x > 0 ? 1 : weight", "x > 0 ? 0 : x"),
    samples=[
        Sample((Array((2, 3), *side), weight))
        for side in _SIDES
        for weight in (Array((), 0.1, 0.5), Array((3,), 0.1, 0.5), Array((2, 1), 0.1, 0.5), 0.25)
    ],
)
def prelu(xp: Any, x: Any, weight: Any) -> Any:
    """`x` above 0 and ``weight * x`` below, with a `weight` that is learned; at 0 the derivative is `weight`.

    Parameters
    ----------
    x : array
        Real numbers.
    weight : array
        Broadcast against `x` like any array. For PyTorch's weight per channel of the second of ``n`` axes, give
        one of shape ``(channels,) + (1,) * (n - 2)``.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers" (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.prelu(np.array([-2.0, 2.0]), 0.25)
    array([-0.5,  2. ])
    """
    x = real("prelu", x, xp)
    return xp.maximum(x, 0) + weight * xp.minimum(x, 0)


@elementwise(
    vjps=(lambda g, y, alpha, xp: xp.where(y > 0, g, (y + alpha) * g),),
    jvps=(lambda t, y, alpha, xp: xp.where(y > 0, t, (y + alpha) * t),),
    c="x > 0 ? x : alpha * expm1(x)",
    c_partials=("y > 0 ? 1 : y + alpha",),
    samples=[*_on_both_sides(), *_on_both_sides(alpha=0.5), *_on_both_sides(alpha=2.0)],
)
def elu(xp: Any, x: Any, *, alpha: float = 1.0) -> Any:
    """Exponential linear unit: `x` above 0, ``alpha * (exp(x) - 1)`` below; the derivative at 0 is `alpha`.

    Raises
    ------
    ArgumentError
        `alpha` is negative: the sign of the result would not tell the two sides apart.

    References
    ----------
    D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by exponential linear
    units" (2016).

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.elu(-1.0).item(), 4)
    -0.6321
    """
    _require_positive("alpha", alpha, zero=True)
    x = real("elu", x, xp)
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0))


_SCALE = 1.0507009873554804934193349852946
_SCALED_ALPHA = 1.6732632423543772848170429916717 * _SCALE


@elementwise(
    vjps=(lambda g, y, xp: xp.where(real("selu", y, xp) > 0, _SCALE * g, (y + _SCALED_ALPHA) * g),),
    jvps=(lambda t, y, xp: xp.where(real("selu", y, xp) > 0, _SCALE * t, (y + _SCALED_ALPHA) * t),),
    c=f"x > 0 ? (T){_SCALE!r} * x : (T){_SCALED_ALPHA!r} * expm1(x)",
    c_partials=(f"y > 0 ? (T){_SCALE!r} : y + (T){_SCALED_ALPHA!r}",),
    samples=_on_both_sides(),
)
def selu(xp: Any, x: Any) -> Any:
    """Self-normalising `elu`: ``1.0507 * x`` above 0, ``1.0507 * 1.6733 * (exp(x) - 1)`` below and at 0.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural networks" (2017).

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.selu(1.0).item(), 4)
    1.0507
    """
    x = real("selu", x, xp)
    return _SCALE * xp.maximum(x, 0) + _SCALED_ALPHA * xp.expm1(xp.minimum(x, 0))


@elementwise(
    vjps=(lambda g, y, alpha, xp: xp.where(y > 0, g, (y / alpha + 1) * g),),
    jvps=(lambda t, y, alpha, xp: xp.where(y > 0, t, (y / alpha + 1) * t),),
    c="x > 0 ? x : alpha * expm1(x / alpha)",
    c_partials=("y > 0 ? 1 : y / alpha + 1",),
    samples=[*_on_both_sides(), *_on_both_sides(alpha=0.5), *_on_both_sides(alpha=2.0)],
)
def celu(xp: Any, x: Any, *, alpha: float = 1.0) -> Any:
    """`elu` with a continuous derivative: `x` above 0, ``alpha * (exp(x / alpha) - 1)`` below.

    Raises
    ------
    ArgumentError
        `alpha` is not positive.

    References
    ----------
    J. Barron, "Continuously differentiable exponential linear units" (2017).

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.celu(-1.0, alpha=2.0).item(), 4)
    -0.7869
    """
    _require_positive("alpha", alpha)
    x = real("celu", x, xp)
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0) / alpha)
