"""Piecewise linear and quadratic stand-ins for smooth activations; at the ends of pieces they follow PyTorch."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Sample, elementwise, unary
from autodiff_activations.reals import real


def _pieces(*ranges: tuple[float, float], **attrs: Any) -> list[Sample]:
    """Return samples inside each piece, and some that lie in several."""
    whole = (min(low for low, _ in ranges), max(high for _, high in ranges))
    return [sample for low, high in (*ranges, whole) for sample in unary(low, high, **attrs)]


@elementwise(
    vjps=(lambda g, y, xp: xp.where((y > 0) & (y < 6), g, 0.0),),
    jvps=(lambda t, y, xp: xp.where((y > 0) & (y < 6), t, 0.0),),
    c="x < 0 ? 0 : (x > 6 ? 6 : x)",
    c_partials=("y > 0 && y < 6 ? 1 : 0",),
    samples=_pieces((-2.0, -0.1), (0.1, 5.9), (6.1, 8.0)),
)
def relu6(xp: Any, x: Any) -> Any:
    """`relu` that stops at 6; the derivative is 0 at both ends.

    References
    ----------
    A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10" (2010).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return xp.clip(real("relu6", x, xp), 0, 6)


@elementwise(
    vjps=(lambda g, x, min_val, max_val, xp: xp.where((x > min_val) & (x < max_val), g, 0.0),),
    jvps=(lambda t, x, min_val, max_val, xp: xp.where((x > min_val) & (x < max_val), t, 0.0),),
    samples=[
        *_pieces((-2.0, -1.1), (-0.9, 0.9), (1.1, 2.0)),
        *_pieces((-3.0, -2.1), (-1.9, 0.4), min_val=-2.0, max_val=0.5),
    ],
)
def hard_tanh(xp: Any, x: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """`x` brought into ``[min_val, max_val]``; the derivative is 1 inside, and 0 outside and at both ends.

    `clip` is the same function, with the derivative 1 at its bounds.

    Raises
    ------
    ArgumentError
        `min_val` is not below `max_val`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.hard_tanh(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """
    if not min_val < max_val:
        raise ArgumentError(f"min_val was given {min_val!r} and max_val {max_val!r}; expected min_val < max_val")
    return xp.clip(real("hard_tanh", x, xp), min_val, max_val)


@elementwise(
    vjps=(lambda g, x, xp: xp.where((x > -3) & (x < 3), g / 6, 0.0),),
    jvps=(lambda t, x, xp: xp.where((x > -3) & (x < 3), t / 6, 0.0),),
    c="x < -3 ? 0 : (x > 3 ? 1 : x / 6 + (T)0.5)",
    c_partials=("x > -3 && x < 3 ? 1 / (T)6 : 0",),
    samples=_pieces((-5.0, -3.1), (-2.9, 2.9), (3.1, 5.0)),
)
def hard_sigmoid(xp: Any, x: Any) -> Any:
    """``x / 6 + 1 / 2``, brought into ``[0, 1]``; the derivative is 0 at the ends, -3 and 3.

    References
    ----------
    A. Howard et al., "Searching for MobileNetV3" (2019).

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.hard_sigmoid(0.0).item()
    0.5
    """
    return xp.clip(real("hard_sigmoid", x, xp) / 6 + 0.5, 0, 1)


def _hard_swish_slope(x: Any, scale: Any, xp: Any) -> Any:
    x = real("hard_swish", x, xp)
    return xp.where(x > -3, xp.where(x < 3, (x / 3 + 0.5) * scale, scale), 0.0)


@elementwise(
    vjps=(lambda g, x, xp: _hard_swish_slope(x, g, xp),),
    jvps=(lambda t, x, xp: _hard_swish_slope(x, t, xp),),
    c="x < -3 ? 0 : (x > 3 ? x : x * (x / 6 + (T)0.5))",
    c_partials=("x > -3 ? (x < 3 ? x / 3 + (T)0.5 : 1) : 0",),
    samples=_pieces((-5.0, -3.1), (-2.9, 2.9), (3.1, 5.0)),
)
def hard_swish(xp: Any, x: Any) -> Any:
    """``x * hard_sigmoid(x)``; the derivative is 0 at -3, and 1 at 3.

    References
    ----------
    A. Howard et al., "Searching for MobileNetV3" (2019).

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.hard_swish(4.0).item()
    4.0
    """
    x = xp.maximum(real("hard_swish", x, xp), -3)  # below the factor is 0, and -inf times that NaN
    return x * xp.minimum(x / 6 + 0.5, 1)
