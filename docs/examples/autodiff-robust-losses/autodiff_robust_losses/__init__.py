"""Losses that outliers cannot dominate, elementwise functions of residuals, and one activation.

- `huber`, `pseudo_huber`: quadratic near 0, linear far away.
- `welsch`, `tukey_biweight`: quadratic near 0, bounded; gross outliers have no pull at all.
- `bent_identity`: an activation.

The losses are ``x**2 / 2`` to leading order at 0. Take ``mean()`` or ``sum()`` of what they return.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.extend import ArgumentError, elementwise, hookimpl, ops_of, primitive, sample, unary

__all__ = ["bent_identity", "huber", "pseudo_huber", "register_ops", "tukey_biweight", "welsch"]


def _positive(op: str, delta: float) -> None:
    if not delta > 0:
        raise ArgumentError(f"{op}: delta is the size of a large residual, a positive number; it was given {delta!r}")


def _huber_partial(x: Any, delta: float, xp: Any) -> Any:
    return xp.where(xp.abs(x) <= delta, x, delta * xp.sign(x))


@elementwise(
    partials=(_huber_partial,),
    # On both sides of the kinks of the derivative, and not at them: finite differences see both sides at once.
    samples=[*unary(-0.9, 0.9), *unary(1.1, 4.0), *unary(-4.0, -2.6, delta=2.5)],
)
def huber(xp: Any, x: Any, *, delta: float = 1.0) -> Any:
    r"""Quadratic up to `delta`, linear beyond it.

    .. math:: \rho(x) = x^2 / 2 \text{ for } |x| \le \delta, \quad \delta (|x| - \delta / 2) \text{ beyond}

    The derivative is `x`, clipped to ``[-delta, delta]``. It is continuous; the second derivative jumps at
    ``delta``, where it is taken to be 1, the value inside.

    Parameters
    ----------
    x : array
        Residuals: any real numbers.
    delta : float
        The size from which on a residual counts as large; positive.

    Raises
    ------
    ArgumentError
        `delta` is not positive.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value
    >>> from autodiff_robust_losses import huber
    >>> huber(np.array([0.0, 0.5, 10.0]))
    array([0.   , 0.125, 9.5  ])
    >>> x = Value([0.5, 10.0])
    >>> huber(x).sum().backward()
    >>> x.grad
    array([0.5, 1. ])
    """
    _positive("huber", delta)
    clipped = xp.clip(x, -delta, delta)
    return clipped * (x - 0.5 * clipped)


def _pseudo_huber_partial(x: Any, y: Any, delta: float) -> Any:
    # The root sqrt(1 + (x / delta)**2) is read off the output: it need not be computed twice, nor can it overflow.
    return x / (1 + y / (delta * delta))


@elementwise(partials=(_pseudo_huber_partial,), samples=[*unary(-3.0, 3.0), *unary(-3.0, 3.0, delta=0.5)])
def pseudo_huber(xp: Any, x: Any, *, delta: float = 1.0) -> Any:
    r"""Smooth approximation of `huber`: quadratic near 0, slope `delta` far away.

    .. math:: \rho(x) = \delta^2 \left( \sqrt{1 + (x / \delta)^2} - 1 \right)

    The derivative is ``x / sqrt(1 + (x / delta)**2)``.

    Parameters
    ----------
    x : array
        Residuals: any finite numbers.
    delta : float
        The size from which on a residual counts as large; positive.

    Raises
    ------
    ArgumentError
        `delta` is not positive.

    References
    ----------
    P. Charbonnier et al., "Deterministic edge-preserving regularization in computed imaging", IEEE Transactions
    on Image Processing 6 (1997).

    Examples
    --------
    >>> from autodiff import grad
    >>> from autodiff_robust_losses import pseudo_huber
    >>> pseudo_huber(0.75).item()
    0.25
    >>> print(grad(pseudo_huber)(0.75))
    0.6
    """
    _positive("pseudo_huber", delta)
    r = x / delta
    # sqrt(1 + r*r) - 1, without the cancellation at small r and the overflow at large r.
    return delta * x * (r / (xp.hypot(r, xp.ones_like(r)) + 1))


def _welsch_partial(x: Any, delta: float, xp: Any) -> Any:
    r = x / delta
    return x * xp.exp(-(r * r))


@elementwise(partials=(_welsch_partial,), samples=[*unary(-3.0, 3.0), *unary(-3.0, 3.0, delta=1.0)])
def welsch(xp: Any, x: Any, *, delta: float = 2.985) -> Any:
    r"""Bounded loss whose derivative dies out like a Gaussian.

    .. math:: \rho(x) = \frac{\delta^2}{2} \left( 1 - e^{-(x / \delta)^2} \right)

    The derivative is ``x * exp(-(x / delta)**2)``.

    Parameters
    ----------
    x : array
        Residuals: any real numbers.
    delta : float
        The size from which on a residual counts as large; positive.

    Raises
    ------
    ArgumentError
        `delta` is not positive.

    References
    ----------
    J. E. Dennis, R. E. Welsch, "Techniques for nonlinear least squares and robust regression", Communications in
    Statistics: Simulation and Computation 7 (1978).

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff_robust_losses import welsch
    >>> welsch(np.array([0.0, 1.0, 1000.0]), delta=2.0)
    array([0.        , 0.44239843, 2.        ])
    """
    _positive("welsch", delta)
    r = x / delta
    return (-0.5 * delta * delta) * xp.expm1(-(r * r))


@welsch.kernel("numpy")
def welsch_numpy(x: Any, *, delta: float) -> Any:
    """Compute `welsch` in one new array, where the generic kernel makes five."""
    _positive("welsch", delta)
    y = np.asarray(x / delta)
    np.square(y, out=y)
    np.negative(y, out=y)
    np.expm1(y, out=y)
    y *= -0.5 * delta * delta
    return y if y.ndim else y[()]  # numbers stay numbers, as NumPy's own functions have it


def _inside(x: Any, delta: float, xp: Any) -> Any:
    """Return `x`, and `delta` where it is larger: what is computed of large residuals can then not overflow."""
    return xp.where(xp.abs(x) > delta, delta, x)


def _tukey_slope(x: Any, delta: float, xp: Any) -> Any:
    r = _inside(x, delta, xp) / delta
    return delta * r * (1 - r * r) ** 2


def tukey_biweight_vjp(g: Any, x: Any, delta: float, xp: Any) -> Any:
    """Return the cotangent of the residuals for the cotangent `g` of `tukey_biweight`."""
    return g * _tukey_slope(x, delta, xp)


def tukey_biweight_jvp(t: Any, x: Any, delta: float, xp: Any) -> Any:
    """Return the tangent of `tukey_biweight` for the tangent `t` of the residuals."""
    return t * _tukey_slope(x, delta, xp)


@primitive(
    vjps={"x": tukey_biweight_vjp},
    jvps={"x": tukey_biweight_jvp},
    samples=[*unary(-3.0, 3.0), *unary(5.0, 9.0), *unary(-0.9, 0.9, delta=1.0), sample((2, 3), delta=0.5)],
)
def tukey_biweight(xp: Any, x: Any, *, delta: float = 4.685) -> Any:
    r"""Bounded loss that is constant beyond `delta`: such residuals have no pull at all.

    .. math:: \rho(x) = \frac{\delta^2}{6} \left( 1 - (1 - (x / \delta)^2)^3 \right) \text{ for } |x| \le \delta,
        \quad \delta^2 / 6 \text{ beyond}

    The derivative is ``x * (1 - (x / delta)**2)**2`` inside and 0 beyond; both it and the second derivative are
    continuous.

    Parameters
    ----------
    x : array
        Residuals: any real numbers.
    delta : float
        The size from which on a residual does not count; positive.

    Raises
    ------
    ArgumentError
        `delta` is not positive.

    References
    ----------
    A. E. Beaton, J. W. Tukey, "The fitting of power series, meaning polynomials, illustrated on band-spectroscopic
    data", Technometrics 16 (1974).

    Examples
    --------
    >>> from autodiff import Value
    >>> from autodiff_robust_losses import tukey_biweight
    >>> x = Value([1.0, 100.0])
    >>> y = tukey_biweight(x, delta=2.0)
    >>> y.sum().backward()
    >>> print(y.data, x.grad)
    [0.38541667 0.66666667] [0.5625 0.    ]
    """
    _positive("tukey_biweight", delta)
    r = _inside(x, delta, xp) / delta
    u = r * r
    # 1 - (1 - u)**3, multiplied out: small residuals keep their digits.
    return (delta * delta / 6) * (u * (3 - u * (3 - u)))


def _bent_identity_partial(x: Any, y: Any) -> Any:
    # sqrt(x*x + 1) is 2 * (y - x) + 1: it need not be computed twice, nor can it overflow.
    return 0.5 * x / (2 * (y - x) + 1) + 1


@elementwise(
    partials=(_bent_identity_partial,),
    c="(sqrt(x * x + 1) - 1) / 2 + x",
    c_partials=("x / (2 * sqrt(x * x + 1)) + 1",),
    samples=unary(-4.0, 4.0),
)
def bent_identity(xp: Any, x: Any) -> Any:
    r"""Activation that bends the identity at 0: slope 1/2 far to the left, 3/2 far to the right.

    .. math:: y = \frac{\sqrt{x^2 + 1} - 1}{2} + x

    The derivative is ``x / (2 * sqrt(x**2 + 1)) + 1``: it never vanishes.

    Parameters
    ----------
    x : array
        Any finite numbers.

    Examples
    --------
    >>> from autodiff import Value
    >>> from autodiff_robust_losses import bent_identity
    >>> x = Value(0.0)
    >>> y = bent_identity(x)
    >>> y.backward()
    >>> print(y.data, x.grad)
    0.0 1.0
    """
    # (sqrt(x*x + 1) - 1) / 2, without the cancellation at small x and the overflow at large x.
    return x + 0.5 * x * (x / (xp.hypot(x, xp.ones_like(x)) + 1))


@hookimpl
def register_ops(register: Callable[..., None]) -> None:
    """Register the ops of this module."""
    for op in ops_of(sys.modules[__name__]):
        register(op)
