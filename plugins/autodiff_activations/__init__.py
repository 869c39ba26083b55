"""Activation functions for autodiff, a plugin like anyone else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.extend import elementwise, hookimpl, ops_of, primitive, sample, unary

_AXES = [sample((2, 3)), sample((2, 3), axis=0), sample((2, 3, 2), axis=-2), sample((2, 3), axis=(0, 1))]


@elementwise(
    vjps=(lambda g, y, xp: xp.where(y > 0, g, 0.0),),
    jvps=(lambda t, y, xp: xp.where(y > 0, t, 0.0),),
    c="x > 0 ? x : 0",
    c_partials=("x > 0 ? 1 : 0",),
    samples=[*unary(0.1, 2.0), *unary(-2.0, -0.1)],
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
    return xp.maximum(x, 0)


@elementwise(
    partials=(lambda y: y * (1 - y),),
    c="1 / (1 + exp(-x))",
    c_partials=("y * (1 - y)",),
    samples=unary(-4.0, 4.0),
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
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.ones_like(e), e) / (1 + e)


def _softplus_partial(x: Any) -> Any:
    return sigmoid(x)


@elementwise(
    partials=(_softplus_partial,),
    c="x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))",
    c_partials=("1 / (1 + exp(-x))",),
    samples=unary(-4.0, 4.0),
)
def softplus(xp: Any, x: Any) -> Any:
    """Smooth maximum of `x` and zero, ``log(1 + exp(x))``; the derivative is ``sigmoid(x)``.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.softplus(0.0).item(), 4)
    0.6931
    """
    return xp.logaddexp(x, xp.zeros_like(x))


def _softmax_vjp(g: Any, y: Any, axis: Any, xp: Any) -> Any:
    weighted = g * y
    return weighted - y * xp.sum(weighted, axis=axis, keepdims=True)


@primitive(vjps=(_softmax_vjp,), samples=_AXES, method=True)
def softmax(xp: Any, x: Any, *, axis: Any = -1) -> Any:
    """``exp(x) / sum(exp(x))`` over `axis`, without overflow: the maximum is taken out first.

    The vjp is ``y * (g - sum(g * y))``.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([1000.0, 1000.0]).softmax().data
    array([0.5, 0.5])
    """
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _log_softmax_vjp(g: Any, y: Any, axis: Any, xp: Any) -> Any:
    return g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True)


@primitive(vjps=(_log_softmax_vjp,), samples=_AXES, method=True)
def log_softmax(xp: Any, x: Any, *, axis: Any = -1) -> Any:
    """``x - log(sum(exp(x)))`` over `axis`, exact where `softmax` would be 0.

    The vjp is ``g - softmax(x) * sum(g)``.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([0.0, 1000.0]).log_softmax().data
    array([-1000.,     0.])
    """
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


@hookimpl
def register_ops(register: Callable[..., None]) -> None:
    """Register the activations."""
    import autodiff_activations

    for op in ops_of(autodiff_activations):
        register(op)
