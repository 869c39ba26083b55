"""Attention: `scaled_dot_product_attention`, and the fused op `attention` that it is made of.

The op keeps neither the scores nor the weights, which are as large as the square of the length: its rules compute
them again from what it keeps of each row, the logarithm of the sum of its exponentials.
"""

from __future__ import annotations

from typing import Any

import autodiff_ops as op
from autodiff import Value
from autodiff.extend import (
    ArgumentError,
    ArgumentTypeError,
    Array,
    Sample,
    backend_of,
    broadcast_to,
    composite,
    primitive,
    sample,
)
from autodiff_nn.fused import wide
from autodiff_ops.shapes import arrayed

__all__ = ["attention", "scaled_dot_product_attention"]

_INFINITY = float("inf")


def _swap(x: Any, xp: Any) -> Any:
    n = len(x.shape)
    return xp.permute_dims(x, (*range(n - 2), n - 1, n - 2))


def _scale(query: Any, scale: float | None) -> float:
    return float(max(query.shape[-1], 1) ** -0.5) if scale is None else scale


def _scores(query: Any, key: Any, attn_mask: Any, is_causal: bool, scale: float | None, xp: Any) -> Any:
    """Return how much each query is for each key, minus infinity where it must not look."""
    scores = xp.matmul(wide(query, xp) * _scale(query, scale), _swap(wide(key, xp), xp))
    if is_causal:
        rows, columns = (xp.arange(n) for n in scores.shape[-2:])
        scores = xp.where(xp.expand_dims(rows, axis=-1) >= columns, scores, -_INFINITY)
    if getattr(attn_mask, "dtype", None) == xp.bool:
        return xp.where(attn_mask, scores, -_INFINITY)
    return scores + attn_mask


def _weights(query: Any, key: Any, attn_mask: Any, total: Any, is_causal: bool, scale: float | None, xp: Any) -> Any:
    weights = xp.exp(_scores(query, key, attn_mask, is_causal, scale, xp) - total)
    if not isinstance(query, Value):
        return weights
    # A derivative goes through them, for which the residual is a constant: their sum is 1, and its derivative is not 0.
    return weights / xp.where(total == _INFINITY, 1.0, xp.sum(weights, axis=-1, keepdims=True))


def _slope(
    g: Any, y: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    """Return the cotangent of the scores."""
    g = wide(g, xp)
    along = xp.sum(g * wide(y, xp), axis=-1, keepdims=True)
    through = xp.matmul(g, _swap(wide(value, xp), xp)) - along
    return _weights(query, key, attn_mask, total, is_causal, scale, xp) * through


def attention_vjp_query(
    g: Any, y: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    slope = _slope(g, y, query, key, value, attn_mask, total, is_causal, scale, xp)
    return xp.matmul(slope, wide(key, xp)) * _scale(query, scale)


def attention_vjp_key(
    g: Any, y: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    slope = _slope(g, y, query, key, value, attn_mask, total, is_causal, scale, xp)
    return xp.matmul(_swap(slope, xp), wide(query, xp)) * _scale(query, scale)


def attention_vjp_value(
    g: Any, query: Any, key: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    weights = _weights(query, key, attn_mask, total, is_causal, scale, xp)
    return xp.matmul(_swap(weights, xp), wide(g, xp))


def attention_vjp_mask(
    g: Any, y: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    return _slope(g, y, query, key, value, attn_mask, total, is_causal, scale, xp)


def _push(
    t: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    """Return the tangent of the output for the tangent `t` of the scores."""
    weights = _weights(query, key, attn_mask, total, is_causal, scale, xp)
    weighted = weights * t
    weighted = weighted - weights * xp.sum(weighted, axis=-1, keepdims=True)
    return xp.matmul(weighted, wide(value, xp))


def attention_jvp_query(
    t: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    t = xp.matmul(wide(t, xp) * _scale(query, scale), _swap(wide(key, xp), xp))
    return _push(t, query, key, value, attn_mask, total, is_causal, scale, xp)


def attention_jvp_key(
    t: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    t = xp.matmul(wide(query, xp) * _scale(query, scale), _swap(wide(t, xp), xp))
    return _push(t, query, key, value, attn_mask, total, is_causal, scale, xp)


def attention_jvp_value(
    t: Any, query: Any, key: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    return xp.matmul(_weights(query, key, attn_mask, total, is_causal, scale, xp), wide(t, xp))


def attention_jvp_mask(
    t: Any, query: Any, key: Any, value: Any, attn_mask: Any, total: Any, is_causal: Any, scale: Any, xp: Any
) -> Any:
    return _push(t, query, key, value, attn_mask, total, is_causal, scale, xp)


def _batching(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    is_causal: bool,
    scale: float | None,
    batched: tuple[bool, ...],
) -> Any:
    if batched[3] and len(attn_mask.shape) < 3:  # a number for each example
        return NotImplemented
    arrays = (query, key, value, attn_mask)
    ndims = [len(getattr(x, "shape", ())) - own for x, own in zip(arrays, batched, strict=True)]
    most = max(ndims)
    # As many leading axes on each side, behind the batch.
    laid = [
        op.reshape(x, shape=(x.shape[0], *(1,) * (most - n), *x.shape[1:])) if own else x
        for x, n, own in zip(arrays, ndims, batched, strict=True)
    ]
    return attention.apply(*laid, is_causal=is_causal, scale=scale)


@primitive(
    vjps=(attention_vjp_query, attention_vjp_key, attention_vjp_value, attention_vjp_mask),
    jvps=(attention_jvp_query, attention_jvp_key, attention_jvp_value, attention_jvp_mask),
    residuals=("total",),
    signature="(l,e),(s,e),(s,v),(l,s)->(l,v)",
    samples=[
        sample((3, 2), (4, 2), (4, 3), 0.0),
        sample((2, 3, 2), (2, 3, 2), (2, 3, 2), 0.0, is_causal=True),
        sample((2, 1, 3, 2), (2, 4, 2), (4, 3), (3, 4), scale=0.7),
        sample((3, 2), (4, 2), (4, 3), 0.0, scale=1.3),
        sample((3, 2), (5, 2), (2, 5, 2), (2, 3, 5), is_causal=True),
        Sample((Array((2, 3, 2)), Array((2, 2)), Array((2, 3)), Array((3, 2), kind="bool"))),
        sample((2, 2), (2, 2), (2, 2), ()),
        sample((0, 2), (3, 2), (3, 2), 0.0),
        sample((2, 0), (3, 0), (3, 2), 0.0),
        sample((2, 3), (0, 3), (0, 2), 0.0),
    ],
    batching=_batching,
)
def attention(
    xp: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    *,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """``softmax(scale * query @ key.T + attn_mask) @ value``, over the last two axes; the leading ones broadcast.

    What `scaled_dot_product_attention` calls once it has brought the mask into shape. With the weights P and the
    cotangent g of the output y that of the scores is ``P * (g @ value.T - sum(g * y))``.

    Parameters
    ----------
    query, key, value : array
        Real, of shapes (..., L, E), (..., S, E) and (..., S, V). Half precision is computed in float32.
    attn_mask : array
        Of shape (..., L, S): booleans, False where a query must not look at a key, or numbers that are added to the
        scores, which get a gradient. 0.0 stands for none.
    is_causal : bool
        Whether query i sees no key after number i.
    scale : float, optional
        1 / sqrt(E) by default.

    Raises
    ------
    ArgumentError
        The shapes do not fit.
    ArgumentTypeError
        The numbers are not real.

    References
    ----------
    A. Vaswani et al., "Attention is all you need" (2017). T. Dao et al., "FlashAttention: fast and memory-efficient
    exact attention with IO-awareness" (2022): the rule, and what it needs to keep.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> autodiff.ops.attention(x, x, x, 0.0, scale=0.0)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    check_attention(query, key, value, attn_mask, xp)
    scores = _scores(query, key, attn_mask, is_causal, scale, xp)
    top = xp.max(scores, axis=-1, keepdims=True) if scores.shape[-1] else xp.sum(scores, axis=-1, keepdims=True)
    # Of a row that sees nothing: its weights are 0, as in PyTorch, and not 0 / 0.
    top = xp.where(top == -_INFINITY, 0.0, top)
    weights = xp.exp(scores - top)
    sums = xp.sum(weights, axis=-1, keepdims=True)
    blind = sums == 0
    sums = xp.where(blind, 1.0, sums)
    y = xp.matmul(weights / sums, wide(value, xp))
    arrays = [a for a in (query, key, value, attn_mask) if hasattr(a, "dtype") and a.dtype != xp.bool]
    return xp.astype(y, xp.result_type(*arrays)), xp.where(blind, _INFINITY, top + xp.log(sums))


# NumPy's own are imported when they are first called: who imports autodiff does not wait for them.


@attention.kernel("numpy")
def _attention_numpy(query: Any, key: Any, value: Any, attn_mask: Any, *, is_causal: bool, scale: float | None) -> Any:
    from autodiff_nn import numpy_attention

    return numpy_attention.kernel(query, key, value, attn_mask, is_causal, scale)


def _attention_rule_numpy(
    g: Any,
    y: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    total: Any,
    is_causal: bool,
    scale: float | None,
    needs: tuple[bool, ...],
) -> Any:
    from autodiff_nn import numpy_attention

    return numpy_attention.rule(g, y, (query, key, value, attn_mask, total, is_causal, scale), needs)


attention.vjp_kernel("numpy", joint=_attention_rule_numpy)(
    (attention_vjp_query, attention_vjp_key, attention_vjp_value, attention_vjp_mask)
)


def check_attention(query: Any, key: Any, value: Any, attn_mask: Any, xp: Any) -> None:
    """Refuse arrays that are not those of `attention`."""
    shapes = [tuple(x.shape) for x in (query, key, value)]
    mask = tuple(getattr(attn_mask, "shape", ()))
    q, k, v = shapes
    if (
        min(map(len, shapes)) < 2
        or q[-1] != k[-1]
        or k[-2] != v[-2]
        or (mask and mask[-2:] != (q[-2], k[-2]))
        or not _broadcast((q[:-2], k[:-2], v[:-2], mask[:-2]))
    ):
        raise ArgumentError(
            f"attention: query has shape {q}, key {k}, value {v} and attn_mask {mask}; expected (..., L, E), (..., S, E), "
            f"(..., S, V) and (..., L, S), with leading axes that broadcast"
        )
    for name, x in (("query", query), ("key", key), ("value", value)):
        if not xp.isdtype(x.dtype, "real floating"):
            raise ArgumentTypeError(f"attention takes real floating-point numbers; {name} has dtype {x.dtype}")
    if hasattr(attn_mask, "dtype") and attn_mask.dtype != xp.bool and not xp.isdtype(attn_mask.dtype, "real floating"):
        raise ArgumentTypeError(
            f"attention: attn_mask holds booleans, or real numbers that are added; it has dtype {attn_mask.dtype}"
        )


def _broadcast(shapes: tuple[tuple[int, ...], ...]) -> bool:
    """Tell whether shapes broadcast against each other."""
    ends = range(1, max(map(len, shapes)) + 1)
    return all(len({shape[-i] for shape in shapes if len(shape) >= i} - {1}) < 2 for i in ends)


@composite(
    samples=[
        sample((2, 3, 2), (2, 4, 2), (2, 4, 3)),
        sample((3, 2), (4, 2), (4, 2), is_causal=True, scale=0.3),
        sample((3, 2), (3, 2), (3, 2), dropout_p=1.0),
    ]
)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Any = None,
) -> Any:
    """``softmax(query @ key.T * scale + attn_mask) @ value``: what each query finds in the values, as in PyTorch.

    Parameters
    ----------
    query, key, value : array
        Of shapes (..., L, E), (..., S, E) and (..., S, V); the leading axes, examples and heads, broadcast.
    attn_mask : array, optional
        What broadcasts to (..., L, S): booleans, True where a query may look at a key, or numbers that are added to
        the scores; these get a gradient where they are a Value that needs one. A query that may look at nothing finds
        0, and gives no gradient.
    dropout_p : float
        The probability that a weight is 0; the others are divided by its complement. Applied whenever it is given, as
        in PyTorch, hence to be 0 in use.
    is_causal : bool
        Whether query i sees the keys from 0 to i alone.
    scale : float, optional
        1 / sqrt(E) by default.
    generator : Generator of the backend, optional
        For dropout, as `autodiff.ops.dropout` takes it.

    Returns
    -------
    array
        Of shape (..., L, V).

    Raises
    ------
    ArgumentError
        The shapes do not fit, or both `attn_mask` and `is_causal` are given.
    ArgumentTypeError
        The numbers are not real, or `attn_mask` holds integers.

    Notes
    -----
    The weights are not kept for the backward pass, but computed again; with dropout they are kept.

    References
    ----------
    A. Vaswani et al., "Attention is all you need" (2017).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> nn.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.0)
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    query, key, value = map(arrayed, (query, key, value))
    if attn_mask is None:
        attn_mask = 0.0
    elif is_causal:
        raise ArgumentError("scaled_dot_product_attention takes attn_mask or is_causal, not both")
    else:
        attn_mask = _spread(attn_mask, query, key)
    if not dropout_p:
        return attention(query, key, value, attn_mask, is_causal=is_causal, scale=scale)
    # Dropout needs the weights themselves: what the queries find in a unit matrix.
    unit = _backend(key).xp.eye(key.shape[-2], dtype=key.dtype)
    weights = attention(query, key, unit, attn_mask, is_causal=is_causal, scale=scale)
    return op.matmul(op.dropout(weights, p=dropout_p, generator=generator), value)


def _backend(x: Any) -> Any:
    return backend_of(type(x.data if isinstance(x, Value) else x))


def _spread(attn_mask: Any, query: Any, key: Any) -> Any:
    """Return a mask whose last two axes are those of the scores."""
    if _backend(attn_mask) is None:
        raise ArgumentTypeError(
            f"scaled_dot_product_attention: attn_mask is an array of booleans, or of numbers that are added; it was given "
            f"a {type(attn_mask).__name__}"
        )
    shape, wanted = tuple(attn_mask.shape), (query.shape[-2], key.shape[-2])
    if shape[-2:] == wanted:
        return attn_mask
    if not _broadcast((shape[-2:], wanted)) or any(
        n > m for n, m in zip(shape[-2:], wanted[-len(shape) :], strict=False)
    ):
        raise ArgumentError(
            f"scaled_dot_product_attention: attn_mask has shape {shape}; expected what broadcasts to (..., {wanted[0]}, "
            f"{wanted[1]})"
        )
    return broadcast_to(attn_mask, shape=(*shape[:-2], *wanted))
