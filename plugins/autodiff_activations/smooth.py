"""Smooth activations, written so that no exponential overflows."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, elementwise, unary
from autodiff_activations.reals import real
from autodiff_ops.elementwise.special import SINGLE, erf, in_blocks, tanh_of
from autodiff_ops.shapes import is_complex, is_half

_WIDE = unary(-4.0, 4.0)
#: From here on the exponential of ``-x`` is 0 in every precision; half precision holds the number.
_END = 1000
_BOUNDED_BELOW = f"(x < -{_END} ? (T)-{_END} : x)"
_BOUNDED = f"(x > {_END} ? (T){_END} : x < -{_END} ? (T)-{_END} : x)"


def _at_least(x: Any, xp: Any) -> Any:
    """Return what is multiplied by something that is 0 far below, where an infinite `x` would make NaN of it."""
    return x if is_complex(x) else xp.maximum(x, -_END)


def _bounded(x: Any, xp: Any) -> Any:
    """Return what is multiplied by something that is 0 on both sides."""
    return x if is_complex(x) else xp.clip(x, -_END, _END)


@elementwise(
    partials=(lambda y: y * (1 - y),),
    c="1 / (1 + exp(-x))",
    c_partials=("y * (1 - y)",),
    samples=_WIDE,
    reference="scipy.special:expit",
    method=True,
)
def sigmoid(xp: Any, x: Any) -> Any:
    """Logistic function ``1 / (1 + exp(-x))``; the derivative is ``y * (1 - y)``.

    Computed from ``exp(-abs(x))``, which neither overflows nor loses the digits of small results.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value(0.0).sigmoid().item()
    0.5
    """
    if xp.isdtype(x.dtype, "complex floating"):
        return 1 / (1 + xp.exp(-x))
    return xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(-xp.abs(x)))


@elementwise(
    partials=(lambda y, xp: -xp.expm1(real("log_sigmoid", y, xp)),),
    c="x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x))",
    c_partials=("-expm1(y)",),
    samples=_WIDE,
    reference="scipy.special:log_expit",
)
def log_sigmoid(xp: Any, x: Any) -> Any:
    """Logarithm of `sigmoid`, exact where that would be 0 or 1; the derivative is ``1 - exp(y)``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.log_sigmoid(-1000.0).item()
    -1000.0
    """
    x = real("log_sigmoid", x, xp)
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


@elementwise(
    partials=(lambda y, xp: -xp.expm1(-real("softplus", y, xp)),),
    c="x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))",
    c_partials=("-expm1(-y)",),
    samples=_WIDE,
)
def softplus(xp: Any, x: Any) -> Any:
    """Smooth maximum of `x` and zero, ``log(1 + exp(x))``; the derivative is ``sigmoid(x)``.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.softplus(0.0).item(), 4)
    0.6931
    """
    x = real("softplus", x, xp)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def _silu_partial(x: Any, xp: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + _bounded(x, xp) * (1 - s))


@elementwise(
    partials=(_silu_partial,),
    c=f"{_BOUNDED_BELOW} / (1 + exp(-x))",
    c_partials=(f"(1 + {_BOUNDED} / (1 + exp(x))) / (1 + exp(-x))",),
    samples=_WIDE,
)
def silu(xp: Any, x: Any) -> Any:
    """Sigmoid linear unit, ``x * sigmoid(x)``, also called swish; the derivative is ``s * (1 + x * (1 - s))``.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning" (2018).

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.silu(1.0).item(), 4)
    0.7311
    """
    return _at_least(x, xp) * sigmoid(x)


def _mish_partial(x: Any, xp: Any) -> Any:
    x = real("mish", x, xp)
    t = xp.tanh(softplus(x))
    # From 40 on 1 - t * t is 0 in every precision.
    return t + xp.clip(x, -_END, 40) * (1 - t * t) * sigmoid(x)


_MISH_TANH = "tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))"


@elementwise(
    partials=(_mish_partial,),
    c=f"{_BOUNDED_BELOW} * {_MISH_TANH}",
    c_partials=(f"{_MISH_TANH} + {_BOUNDED} * (1 - {_MISH_TANH} * {_MISH_TANH}) / (1 + exp(-x))",),
    samples=[*_WIDE, Sample((Array((3,), 15.0, 30.0),))],  # whose exponentials are infinite in half precision
)
def mish(xp: Any, x: Any) -> Any:
    """``x * tanh(softplus(x))``.

    With ``t = tanh(softplus(x))`` the derivative is ``t + x * (1 - t**2) * sigmoid(x)``.

    References
    ----------
    D. Misra, "Mish: a self regularized non-monotonic activation function" (2020).

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.mish(1.0).item(), 4)
    0.8651
    """
    x = real("mish", x, xp)
    return _at_least(x, xp) * xp.tanh(softplus(x))


_ROOT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)
_SLOPE, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_partial(x: Any, approximate: str, xp: Any) -> Any:
    wide = _bounded(xp.astype(x, xp.float32) if is_half(x, xp) else x, xp)
    z = wide * wide
    if approximate == "none":
        slope = 0.5 + 0.5 * erf(_ROOT_HALF * wide) + wide * (_DENSITY * xp.exp(-0.5 * z))
    else:
        t = xp.tanh(_SLOPE * wide * (1 + _CUBIC * z))
        slope = 0.5 * (1 + t) + (0.5 * _SLOPE) * wide * (1 - t * t) * (1 + (3 * _CUBIC) * z)
    return xp.astype(slope, x.dtype) if is_half(x, xp) else slope


_FAR = ((-400.0, -300.0), (300.0, 400.0))


@elementwise(
    partials=(_gelu_partial,),
    samples=[
        *_WIDE,
        *unary(-4.0, 4.0, approximate="tanh"),
        # Their squares are infinite in half precision.
        *(Sample((Array((3,), *far),), {"approximate": how}) for far in _FAR for how in ("none", "tanh")),
    ],
)
def gelu(xp: Any, x: Any, *, approximate: str = "none") -> Any:
    """Gaussian error linear unit, ``x * P(X <= x)`` with X normally distributed.

    The derivative is that probability plus `x` times the density. Half precision, in which the square of 256 is
    infinite, is computed in float32.

    Parameters
    ----------
    x : array
        Real numbers.
    approximate : {"none", "tanh"}
        ``"none"`` computes ``x * (1 + erf(x / sqrt(2))) / 2``, ``"tanh"`` the approximation
        ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``, within 5e-4 of it.

    Raises
    ------
    ArgumentError
        `approximate` is something else.

    References
    ----------
    D. Hendrycks, K. Gimpel, "Gaussian error linear units" (2016).

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.gelu(1.0).item(), 4), round(autodiff.ops.gelu(1.0, approximate="tanh").item(), 4)
    (0.8413, 0.8412)
    """
    if is_half(x, xp):
        return xp.astype(gelu.function(xp, xp.astype(x, xp.float32), approximate=approximate), x.dtype)
    x = _at_least(x, xp)
    if approximate == "none":
        return 0.5 * x * (1 + erf(_ROOT_HALF * x))
    if approximate == "tanh":
        return 0.5 * x * (1 + xp.tanh(_SLOPE * x * (1 + _CUBIC * (x * x))))
    raise ArgumentError(f"approximate was given {approximate!r}; expected 'none' or 'tanh'")


@gelu.kernel("numpy")
def _gelu_numpy(x: Any, *, approximate: str) -> Any:
    import numpy as np

    from autodiff_numpy import blocks

    if approximate == "none" and x.dtype == np.float32 and x.size >= blocks.SEVERAL:
        with np.errstate(over="ignore", under="ignore"):  # the powers of large and small numbers
            return blocks.by_elements(_gelu_single, x)
    return in_blocks(lambda x: gelu.function(np, x, approximate=approximate), x)


#: Of ``erf(x * sqrt(1/2)) = tanh(x * A(x**2))``.
_SCALED = tuple(c * _ROOT_HALF * 0.5 ** (len(SINGLE) - 1 - i) for i, c in enumerate(SINGLE))


@cache
def _for_loops() -> tuple[Any, ...]:
    """Return these, the density of 0 and the largest number, in the precision of the loops that Numba compiles."""
    import numpy as np

    return tuple(map(np.float32, _SCALED)), np.float32(_DENSITY), np.finfo(np.float32).max


def _gelu_single(out: Any, x: Any) -> None:
    import numpy as np

    from autodiff_numpy.loops import loop

    coefficients, _, high = _for_loops()
    if loop("gelu", x.size)(coefficients, x, high, out):
        return
    tanh_of(_SCALED, x, x * x, out)
    out += 1
    out *= np.maximum(x, -_END)
    out *= 0.5


def _gelu_rule_single(out: Any, g: Any, x: Any) -> None:
    import numpy as np

    from autodiff_numpy.loops import loop

    coefficients, density, high = _for_loops()
    np.copyto(out, g)  # nothing, where it is the same memory
    if loop("gelu_rule", x.size)(coefficients, density, x, high / 2, out):
        return
    square = x * x
    slope = tanh_of(_SCALED, x, square, np.empty_like(x))
    slope += 1
    slope *= 0.5
    square *= -0.5
    density = np.exp(square, square)
    density *= _DENSITY
    density *= np.clip(x, -_END, _END)
    slope += density
    np.multiply(slope, g, out)


@gelu.vjp_kernel("numpy")
def _gelu_vjp_numpy(g: Any, x: Any, approximate: str, out: Any = None) -> Any:
    import numpy as np

    from autodiff_numpy import blocks

    if approximate == "none" and x.dtype == g.dtype == np.float32 and x.size >= blocks.SEVERAL:
        from autodiff_numpy.arithmetic import free

        with np.errstate(over="ignore", under="ignore"):
            return blocks.by_elements(_gelu_rule_single, g, x, out=free(out, x))
    return in_blocks(lambda g, x: g * _gelu_partial(x, approximate, np), g, x)


def _softsign_partial(x: Any, xp: Any) -> Any:
    # Inverted before it is squared: the square of a large number overflows.
    t = 1 / (1 + xp.abs(real("softsign", x, xp)))
    return t * t


@elementwise(
    partials=(_softsign_partial,),
    c="x / (1 + fabs(x))",
    c_partials=("1 / ((1 + fabs(x)) * (1 + fabs(x)))",),
    samples=[*unary(0.1, 3.0), *unary(-3.0, -0.1)],
)
def softsign(xp: Any, x: Any) -> Any:
    """``x / (1 + abs(x))``; the derivative is ``1 / (1 + abs(x))**2``.

    References
    ----------
    J. Turian, J. Bergstra, Y. Bengio, "Quadratic features and deep architectures for chunking" (2009).

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.softsign(1.0).item()
    0.5
    """
    return x / (1 + xp.abs(real("softsign", x, xp)))


def _tanhshrink_partial(x: Any, xp: Any) -> Any:
    t = xp.tanh(x)
    return t * t


@elementwise(
    partials=(_tanhshrink_partial,),
    c="x - tanh(x)",
    c_partials=("tanh(x) * tanh(x)",),
    samples=_WIDE,
)
def tanhshrink(xp: Any, x: Any) -> Any:
    """``x - tanh(x)``; the derivative is ``tanh(x)**2``.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.tanhshrink(1.0).item(), 4)
    0.2384
    """
    return x - xp.tanh(x)
