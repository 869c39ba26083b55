"""Activations over an axis: softmax and its kin, and gates."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, primitive, sample
from autodiff_activations.reals import conj
from autodiff_activations.smooth import sigmoid
from autodiff_ops.shapes import sizes

_AXES = [
    sample((2, 3)),
    sample((2, 3), axis=0),
    sample((2, 3, 2), axis=-2),
    sample((2, 3), axis=(0, 1)),
    Sample((Array((2, 3), kind="complex"),)),
]


def _softmax_vjp(g: Any, y: Any, axis: Any, xp: Any) -> Any:
    y = conj(y, xp)
    weighted = g * y
    return weighted - y * xp.sum(weighted, axis=axis, keepdims=True)


def _softmax_jvp(t: Any, y: Any, axis: Any, xp: Any) -> Any:
    weighted = t * y
    return weighted - y * xp.sum(weighted, axis=axis, keepdims=True)


@primitive(vjps=(_softmax_vjp,), jvps=(_softmax_jvp,), samples=_AXES, method=True, batching=("axis",))
def softmax(xp: Any, x: Any, *, axis: Any = -1) -> Any:
    """``exp(x) / sum(exp(x))`` over `axis`, without overflow: the maximum is taken out first.

    The vjp is ``y * (g - sum(g * y))``.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([1000.0, 1000.0]).softmax().data
    array([0.5, 0.5])
    """
    if 0 in x.shape:
        return xp.zeros_like(x)
    e = xp.exp(x - xp.max(sizes(x, xp), axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _log_softmax_vjp(g: Any, y: Any, axis: Any, xp: Any) -> Any:
    return g - xp.exp(conj(y, xp)) * xp.sum(g, axis=axis, keepdims=True)


def _log_softmax_jvp(t: Any, y: Any, axis: Any, xp: Any) -> Any:
    return t - xp.sum(t * xp.exp(y), axis=axis, keepdims=True)


@primitive(vjps=(_log_softmax_vjp,), jvps=(_log_softmax_jvp,), samples=_AXES, method=True, batching=("axis",))
def log_softmax(xp: Any, x: Any, *, axis: Any = -1) -> Any:
    """``x - log(sum(exp(x)))`` over `axis`, exact where `softmax` would be 0.

    The vjp is ``g - softmax(x) * sum(g)``.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([0.0, 1000.0]).log_softmax().data
    array([-1000.,     0.])
    """
    if 0 in x.shape:
        return xp.zeros_like(x)
    shifted = x - xp.max(sizes(x, xp), axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def _softmin_vjp(g: Any, y: Any, axis: Any, xp: Any) -> Any:
    y = conj(y, xp)
    weighted = g * y
    return y * xp.sum(weighted, axis=axis, keepdims=True) - weighted


def _softmin_jvp(t: Any, y: Any, axis: Any, xp: Any) -> Any:
    weighted = t * y
    return y * xp.sum(weighted, axis=axis, keepdims=True) - weighted


@primitive(vjps=(_softmin_vjp,), jvps=(_softmin_jvp,), samples=_AXES, batching=("axis",))
def softmin(xp: Any, x: Any, *, axis: Any = -1) -> Any:
    """``exp(-x) / sum(exp(-x))`` over `axis`, without overflow: the `softmax` of ``-x``.

    The vjp is ``-y * (g - sum(g * y))``.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.softmin(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    e = xp.exp(xp.min(sizes(x, xp), axis=axis, keepdims=True) - x)
    return e / xp.sum(e, axis=axis, keepdims=True)


def _halves(x: Any, axis: int) -> tuple[Any, Any]:
    if not -x.ndim <= axis < x.ndim or x.shape[axis] % 2:
        raise ArgumentError(f"glu splits axis {axis} of x in two halves; x has the shape {tuple(x.shape)}")
    half, before = x.shape[axis] // 2, (slice(None),) * (axis % x.ndim)
    return x[(*before, slice(None, half), ...)], x[(*before, slice(half, None), ...)]


def _glu_vjp(g: Any, x: Any, axis: int, xp: Any) -> Any:
    a, b = _halves(conj(x, xp), axis)
    s = sigmoid(b)
    gs = g * s
    return xp.concat((gs, gs * a * (1 - s)), axis=axis)


def _glu_jvp(t: Any, x: Any, axis: int) -> Any:
    (a, b), (ta, tb) = _halves(x, axis), _halves(t, axis)
    s = sigmoid(b)
    return ta * s + tb * (a * s * (1 - s))


@primitive(
    vjps=(_glu_vjp,),
    jvps=(_glu_jvp,),
    samples=[
        *(sample((4,)), sample((2, 6)), sample((4, 3), axis=0), sample((2, 4, 3), axis=-2)),
        Sample((Array((4,), kind="complex"),)),
    ],
    batching=("axis",),
)
def glu(xp: Any, x: Any, *, axis: int = -1) -> Any:
    """Gated linear unit: the first half of `x` along `axis`, times `sigmoid` of the second.

    Raises
    ------
    ArgumentError
        There is no such axis, or its length is odd.

    References
    ----------
    Y. Dauphin, A. Fan, M. Auli, D. Grangier, "Language modeling with gated convolutional networks" (2017).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.glu(np.array([2.0, 4.0, 0.0, 0.0]))
    array([1., 2.])
    """
    a, b = _halves(x, axis)
    return a * sigmoid(b)
