"""Ops that networks spend their time in, each with a rule of its own: `linear`, `layer_norm`, `cross_entropy_with_logits`.

Composed of smaller ops they would give the same numbers, with several times the passes over memory.
"""

from __future__ import annotations

from math import prod
from typing import Any

import autodiff_ops as ops
from autodiff import Value
from autodiff.extend import ArgumentError, ArgumentTypeError, Array, Sample, backend_of, primitive, sample

__all__ = ["cross_entropy_with_logits", "layer_norm", "linear"]


def wide(x: Any, xp: Any) -> Any:
    """Return half precision as float32, in which its sums are taken; anything else as it is."""
    return xp.astype(x, xp.float32) if x.dtype == getattr(xp, "float16", None) else x


def _conj(x: Any, xp: Any) -> Any:
    return xp.conj(x) if xp.isdtype(x.dtype, "complex floating") else x


def _rows(x: Any, xp: Any) -> Any:
    return x if len(x.shape) == 2 else xp.reshape(x, (prod(x.shape[:-1]), x.shape[-1]))


# ---- linear --------------------------------------------------------------------------------------------------


def linear_vjp_x(g: Any, weight: Any, xp: Any) -> Any:
    return xp.matmul(g, _conj(weight, xp))


def linear_vjp_weight(g: Any, x: Any, xp: Any) -> Any:
    # In this order the gradient is laid out in memory like the weight, which is what optimisers are fast on.
    return xp.matmul(xp.permute_dims(_rows(g, xp), (1, 0)), _conj(_rows(x, xp), xp))


def linear_vjp_bias(g: Any, bias_shape: Any, xp: Any) -> Any:
    g = wide(g, xp)
    return xp.sum(_rows(g, xp), axis=0) if bias_shape else xp.sum(g)


def linear_jvp_x(t: Any, weight: Any, xp: Any) -> Any:
    return xp.matmul(t, xp.permute_dims(weight, (1, 0)))


def linear_jvp_weight(t: Any, x: Any, xp: Any) -> Any:
    return xp.matmul(x, xp.permute_dims(t, (1, 0)))


def linear_jvp_bias(t: Any) -> Any:
    return t


def _linear_batching(x: Any, weight: Any, bias: Any, batched: tuple[bool, ...]) -> Any:
    if not (batched[1] or batched[2]):
        return linear(x, weight, bias)
    if batched[1]:
        # For each example its own product, of a matrix whose rows are the leading axes.
        size, outputs, inputs = weight.shape
        lead = x.shape[batched[0] : -1]
        rows = ops.reshape(x, shape=(*x.shape[: batched[0]], prod(lead), inputs))
        y = ops.reshape(ops.matmul(rows, ops.matrix_transpose(weight)), shape=(size, *lead, outputs))
    else:
        lead = x.shape[batched[0] : -1]
        y = linear(x, weight, 0.0)
    if batched[2] and len(bias.shape) > 1:
        bias = ops.reshape(bias, shape=(bias.shape[0], *(1,) * len(lead), bias.shape[1]))
    elif batched[2]:
        bias = ops.reshape(bias, shape=(bias.shape[0], *(1,) * (len(lead) + 1)))
    return y + bias


@primitive(
    vjps=(linear_vjp_x, linear_vjp_weight, linear_vjp_bias),
    jvps=(linear_jvp_x, linear_jvp_weight, linear_jvp_bias),
    samples=[
        sample((4, 3), (2, 3), (2,)),
        sample((2, 2, 3), (4, 3), (4,)),
        sample((3,), (2, 3), (2,)),
        sample((0, 3), (2, 3), (2,)),
        sample((4, 3), (2, 3), 0.0),
        sample((4, 3), (2, 3), ()),
        Sample((Array((3, 2), kind="complex"), Array((4, 2), kind="complex"), Array((4,), kind="complex"))),
    ],
    batching=_linear_batching,
)
def linear(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    """``x @ weight.T + bias``: an affine map of the last axis of `x`.

    `weight` has shape (outputs, inputs), and `bias` (outputs,) or (); 0.0 stands for none.

    Raises
    ------
    ArgumentError
        The shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.linear(np.ones((2, 3)), np.ones((1, 3)), np.array([0.5]))
    array([[3.5],
           [3.5]])
    """
    _check_linear(x, weight, bias)
    return xp.matmul(x, xp.permute_dims(weight, (1, 0))) + bias


def _check_linear(x: Any, weight: Any, bias: Any) -> None:
    shape = getattr(bias, "shape", ())
    if len(weight.shape) != 2 or x.shape[-1:] != weight.shape[1:] or shape not in ((), weight.shape[:1]):
        raise ArgumentError(
            f"linear: x has shape {x.shape}, weight {weight.shape} and bias {shape}; expected (..., inputs), "
            f"(outputs, inputs) and (outputs,)"
        )


# ---- layer norm ----------------------------------------------------------------------------------------------


def _standard(x: Any, ndim: int, eps: float, xp: Any) -> tuple[Any, Any]:
    """Return x with mean 0 and variance 1 over its last `ndim` axes, and the factor that made it so."""
    axes = tuple(range(-ndim, 0))
    centred = x - xp.mean(x, axis=axes, keepdims=True)
    factor = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + eps)
    return centred * factor, factor


def layer_norm_vjp_x(g: Any, x: Any, weight: Any, ndim: int, eps: float, xp: Any) -> Any:
    axes = tuple(range(-ndim, 0))
    y, factor = _standard(wide(x, xp), ndim, eps, xp)
    g = g * weight
    along = y * xp.mean(g * y, axis=axes, keepdims=True)
    return (g - xp.mean(g, axis=axes, keepdims=True) - along) * factor


def layer_norm_vjp_weight(g: Any, x: Any, weight_shape: Any, ndim: int, eps: float, xp: Any) -> Any:
    y, _ = _standard(wide(x, xp), ndim, eps, xp)
    return layer_norm_vjp_bias(g * y, weight_shape, ndim, xp)


def layer_norm_vjp_bias(g: Any, bias_shape: Any, ndim: int, xp: Any) -> Any:
    return xp.sum(wide(g, xp), axis=tuple(range(g.ndim - ndim)) if bias_shape else None)


def layer_norm_jvp_x(t: Any, x: Any, weight: Any, ndim: int, eps: float, xp: Any) -> Any:
    axes = tuple(range(-ndim, 0))
    y, factor = _standard(wide(x, xp), ndim, eps, xp)
    along = y * xp.mean(t * y, axis=axes, keepdims=True)
    return (t - xp.mean(t, axis=axes, keepdims=True) - along) * factor * weight


def layer_norm_jvp_weight(t: Any, x: Any, ndim: int, eps: float, xp: Any) -> Any:
    return _standard(wide(x, xp), ndim, eps, xp)[0] * t


def layer_norm_jvp_bias(t: Any) -> Any:
    return t


def _layer_norm_batching(x: Any, weight: Any, bias: Any, ndim: int, eps: float, batched: tuple[bool, ...]) -> Any:
    _check_layer_norm_ndim(x.shape[batched[0] :], ndim)
    if not (batched[1] or batched[2]):
        return layer_norm(x, weight, bias, ndim=ndim, eps=eps)
    n = len(x.shape) - batched[0]

    def laid_out(part: Any, own: bool) -> Any:
        return (
            ops.reshape(part, shape=(part.shape[0], *(1,) * (n + 1 - len(part.shape)), *part.shape[1:]))
            if own
            else part
        )

    y = layer_norm(x, 1.0, 0.0, ndim=ndim, eps=eps)
    return y * laid_out(weight, batched[1]) + laid_out(bias, batched[2])


@primitive(
    vjps=(layer_norm_vjp_x, layer_norm_vjp_weight, layer_norm_vjp_bias),
    jvps=(layer_norm_jvp_x, layer_norm_jvp_weight, layer_norm_jvp_bias),
    samples=[
        sample((4, 3), (3,), (3,)),
        sample((2, 3, 4), (4,), (4,), eps=0.5),
        sample((2, 3, 4), (3, 4), (3, 4), ndim=2),
        sample((5,), (5,), (5,)),
        sample((4, 3), 1.0, 0.0),
        sample((4, 3), (), ()),
        sample((0, 3), (3,), (3,)),
        # Their squares are infinite in half precision.
        Sample((Array((2, 4), -400.0, 400.0), Array((4,), 100.0, 200.0), (4,))),
    ],
    batching=_layer_norm_batching,
)
def layer_norm(xp: Any, x: Any, weight: Any, bias: Any, *, ndim: int = 1, eps: float = 1e-5) -> Any:
    """Give the last `ndim` axes of `x` mean 0 and variance 1, then multiply by `weight` and add `bias`.

    ``(x - mean) / sqrt(variance + eps) * weight + bias``; `weight` and `bias` have the shape of those axes, or
    are numbers. Half precision is averaged in float32.

    Raises
    ------
    ArgumentError
        The shapes do not fit.

    References
    ----------
    J. Ba, J. Kiros, G. Hinton, "Layer normalization", arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.layer_norm(np.array([1.0, 3.0]), 1.0, 0.0, eps=0.0)
    array([-1.,  1.])
    """
    _check_layer_norm(x, weight, bias, ndim)
    if not xp.isdtype(x.dtype, "real floating"):
        raise ArgumentTypeError(f"layer_norm takes real floating-point numbers; x has dtype {x.dtype}")
    y, _ = _standard(wide(x, xp), ndim, eps, xp)
    y = y * weight + bias
    arrays = [a for a in (x, weight, bias) if hasattr(a, "dtype")]
    return xp.astype(y, xp.result_type(*arrays))


def _check_layer_norm_ndim(shape: Any, ndim: int) -> None:
    if not 0 < ndim <= len(shape):
        raise ArgumentError(
            f"layer_norm: ndim is a number of axes of x, which has shape {shape}; it was given {ndim!r}"
        )


def _check_layer_norm(x: Any, weight: Any, bias: Any, ndim: int) -> None:
    _check_layer_norm_ndim(x.shape, ndim)
    shape = x.shape[x.ndim - ndim :]
    for name, part in (("weight", weight), ("bias", bias)):
        if getattr(part, "shape", ()) not in ((), shape):
            raise ArgumentError(
                f"layer_norm: {name} has shape {part.shape}; expected {shape}, the last {ndim} axes of x, which has "
                f"shape {x.shape}"
            )


# ---- cross-entropy -------------------------------------------------------------------------------------------


def _is_class(x: Any, target: Any, axis: int, xp: Any) -> Any:
    """Tell of each element of `x` whether it belongs to the class that `target` names."""
    count = x.shape[axis]
    classes = xp.reshape(xp.arange(count), (count,) + (1,) * (len(x.shape) - 1 - axis % len(x.shape)))
    return classes == xp.expand_dims(target, axis=axis)


def _one_hot(x: Any, target: Any, axis: int) -> Any:
    """Return 1 where an element of `x` belongs to the class that `target` names, and 0 elsewhere, as a raw array."""
    own: Any = backend_of(type(target))
    return own.xp.astype(_is_class(x, target, axis, own.xp), x.dtype)


def _slope(x: Any, target: Any, top: Any, total: Any, axis: int, xp: Any) -> Any:
    """Return the derivative of each loss by the scores of its example."""
    e = xp.exp(x - top)
    if isinstance(x, Value):  # a derivative goes through this, and would take the residual for a constant
        total = xp.sum(e, axis=axis, keepdims=True)
    return e / total - _one_hot(x, target, axis)


def cross_entropy_vjp_x(g: Any, x: Any, target: Any, top: Any, total: Any, axis: int, xp: Any) -> Any:
    return xp.expand_dims(g, axis=axis) * _slope(x, target, top, total, axis, xp)


def cross_entropy_jvp_x(t: Any, x: Any, target: Any, top: Any, total: Any, axis: int, xp: Any) -> Any:
    return xp.sum(t * _slope(x, target, top, total, axis, xp), axis=axis)


@primitive(
    vjps=(cross_entropy_vjp_x, None),
    jvps=(cross_entropy_jvp_x, None),
    residuals=("top", "total"),
    samples=[
        Sample((Array((4, 3)), Array((4,), 0, 3, "int"))),
        Sample((Array((3,)), Array((), 0, 3, "int"))),
        Sample((Array((2, 3, 4)), Array((2, 4), 0, 3, "int")), {"axis": 1}),
        Sample((Array((3, 2, 4)), Array((2, 4), 0, 3, "int")), {"axis": -3}),
        Sample((Array((0, 3)), Array((0,), 0, 3, "int"))),
    ],
    batching=("axis",),
)
def cross_entropy_with_logits(xp: Any, x: Any, target: Any, *, axis: int = -1) -> Any:
    """``-log_softmax(x)`` at the class that `target` names, for each example; classes are along `axis`.

    `target` holds integers from 0 to the number of classes less one, in the shape of `x` without `axis`. The
    derivative is the softmax of `x`, less 1 at the class. Neither overflows, however large `x` is.

    Raises
    ------
    ArgumentError
        The shapes do not fit, or a label names no class.
    ArgumentTypeError
        `x` is not floating or `target` is not integer.

    References
    ----------
    P. Blanchard, D. Higham, N. Higham, "Accurately computing the log-sum-exp and softmax functions", IMA
    Journal of Numerical Analysis 41 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.cross_entropy_with_logits(np.array([[0.0, 1000.0]]), np.array([1]))
    array([0.])
    """
    _check_cross_entropy(xp, x, target, axis)
    x_wide = wide(x, xp)
    top = xp.max(x_wide, axis=axis, keepdims=True)
    # Large scores have few digits for what the logarithm would add to them.
    shifted = x_wide - top
    total = xp.sum(xp.exp(shifted), axis=axis, keepdims=True)
    at_class = xp.sum(xp.where(_is_class(x, target, axis, xp), shifted, xp.zeros_like(shifted)), axis=axis)
    return xp.astype(xp.squeeze(xp.log(total), axis=axis) - at_class, x.dtype), top, total


def _check_cross_entropy(xp: Any, x: Any, target: Any, axis: int) -> None:
    if not xp.isdtype(x.dtype, "real floating") or not xp.isdtype(target.dtype, "integral"):
        raise ArgumentTypeError(
            f"cross_entropy_with_logits takes floating-point scores and integer labels; x has dtype {x.dtype} and "
            f"target {target.dtype}"
        )
    n = len(x.shape)
    if not -n <= axis < n:
        raise ArgumentError(f"cross_entropy_with_logits: x of shape {x.shape} has no axis {axis!r}")
    axis %= n
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    if target.shape != shape:
        raise ArgumentError(
            f"cross_entropy_with_logits: x has shape {x.shape} and target {target.shape}; with the classes along axis "
            f"{axis} expected a target of shape {shape}"
        )
    count = x.shape[axis]
    wrong = (target < 0) | (target >= count)
    if bool(xp.any(wrong)):
        first = int(xp.reshape(target, (-1,))[int(xp.argmax(xp.astype(xp.reshape(wrong, (-1,)), xp.int64)))])
        raise ArgumentError(
            f"cross_entropy_with_logits: the label {first} names no class; with x of shape {x.shape} labels are from 0 "
            f"to {count - 1}"
        )
