"""NumPy's own kernels and rules of the fused ops: a block of rows at a time, which stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from autodiff_nn import fused
from autodiff_nn.fused import cross_entropy_with_logits, layer_norm, linear

#: Elements in a block: 256 KiB of float64.
_BLOCK = 32_768

_FAST = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


def _blocks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(width, 1))
    return (slice(start, start + step) for start in range(0, rows, step))


def _as_rows(x: Any, width: int) -> Any:
    return x.reshape(x.size // width, width)


# ---- linear --------------------------------------------------------------------------------------------------


@linear.kernel("numpy")
def _linear(x: Any, weight: Any, bias: Any) -> Any:
    fused._check_linear(x, weight, bias)
    y = x @ weight.T
    dtype = getattr(bias, "dtype", y.dtype)
    if isinstance(y, np.ndarray) and dtype == y.dtype and type(bias) is not complex:
        y += bias
        return y
    return y + bias


def _linear_rule_x(g: Any, weight: Any) -> Any:
    return g @ (weight.conj() if weight.dtype.kind == "c" else weight)


def _linear_rule_weight(g: Any, x: Any) -> Any:
    if x.ndim != 2:
        g, x = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return g.T @ (x.conj() if x.dtype.kind == "c" else x)


def _linear_rule_bias(g: Any, bias_shape: Any) -> Any:
    return g.reshape(-1, g.shape[-1]).sum(axis=0) if bias_shape else g.sum()


# ---- layer norm ----------------------------------------------------------------------------------------------


def _is_fast(*arrays: Any) -> bool:
    """Tell whether all arrays have one of the dtypes that need no care, and Python's numbers besides."""
    dtypes = {a.dtype for a in arrays if isinstance(a, np.ndarray | np.generic)}
    return len(dtypes) == 1 and dtypes <= _FAST and arrays[0].size > 0


def _flat(part: Any) -> Any:
    return part.reshape(-1) if getattr(part, "shape", ()) else part


def _centre(x: Any, ones: Any, eps: float, out: Any) -> Any:
    """Write x less the mean of each row into `out`; return 1 / sqrt(variance + eps), as a column."""
    # Sums of rows as products with ones: several times faster than NumPy's sums along the last axis.
    np.subtract(x, ((x @ ones) / len(ones))[:, None], out)
    factor = np.vecdot(out, out)
    factor /= len(ones)
    factor += eps
    np.sqrt(factor, factor)
    return np.divide(1, factor, factor)[:, None]


@layer_norm.kernel("numpy")
def _layer_norm(x: Any, weight: Any, bias: Any, *, ndim: int, eps: float) -> Any:
    fused._check_layer_norm(x, weight, bias, ndim)
    if not _is_fast(x, weight, bias):
        return layer_norm.function(np, x, weight, bias, ndim=ndim, eps=eps)
    ones = np.ones(int(np.prod(x.shape[x.ndim - ndim :])), x.dtype)
    y = np.empty(x.shape, x.dtype)
    xs, ys = _as_rows(x, len(ones)), _as_rows(y, len(ones))
    weight, bias = _flat(weight), _flat(bias)
    for block in _blocks(*xs.shape):
        part = ys[block]
        part *= _centre(xs[block], ones, eps, part)
        part *= weight
        part += bias
    return y


def _layer_norm_rule_x(g: Any, x: Any, weight: Any, ndim: int, eps: float) -> Any:
    if not _is_fast(g, x, weight):
        return fused.layer_norm_vjp_x(g, x, weight, ndim, eps, np)
    ones = np.ones(int(np.prod(x.shape[x.ndim - ndim :])), x.dtype)
    dx = np.empty(x.shape, x.dtype)
    gs, xs, dxs = (_as_rows(a, len(ones)) for a in (g, x, dx))
    weight = _flat(weight)
    for block in _blocks(*xs.shape):
        part = dxs[block]
        y = np.empty(part.shape, x.dtype)
        factor = _centre(xs[block], ones, eps, y)
        y *= factor
        np.multiply(gs[block], weight, part)
        along = (np.vecdot(part, y) / len(ones))[:, None]
        part -= ((part @ ones) / len(ones))[:, None]
        y *= along
        part -= y
        part *= factor
    return dx


def _layer_norm_rule_weight(g: Any, x: Any, weight_shape: Any, ndim: int, eps: float) -> Any:
    if not weight_shape or not _is_fast(g, x):
        return fused.layer_norm_vjp_weight(g, x, weight_shape, ndim, eps, np)
    ones = np.ones(int(np.prod(weight_shape)), x.dtype)
    total = np.zeros(len(ones), x.dtype)
    gs, xs = _as_rows(g, len(ones)), _as_rows(x, len(ones))
    for block in _blocks(*xs.shape):
        y = np.empty(xs[block].shape, x.dtype)
        factor = _centre(xs[block], ones, eps, y)
        y *= gs[block]
        total += factor[:, 0] @ y
    return total.reshape(weight_shape)


def _layer_norm_rule_bias(g: Any, bias_shape: Any, ndim: int) -> Any:
    if not bias_shape or not _is_fast(g):
        return fused.layer_norm_vjp_bias(g, bias_shape, ndim, np)
    rows = _as_rows(g, int(np.prod(bias_shape)))
    return (np.ones(len(rows), g.dtype) @ rows).reshape(bias_shape)


# ---- cross-entropy -------------------------------------------------------------------------------------------


def _places(target: Any, axis: int) -> tuple[Any, ...]:
    """Return the index of the elements that `target` names along `axis`."""
    grid = np.indices(target.shape, sparse=True)
    return (*grid[:axis], target, *grid[axis:])


@cross_entropy_with_logits.kernel("numpy")
def _cross_entropy(x: Any, target: Any, *, axis: int) -> Any:
    fused._check_cross_entropy(np, x, target, axis)
    if not _is_fast(x):
        return cross_entropy_with_logits.function(np, x, target, axis=axis)
    axis %= x.ndim
    at_class = x[_places(target, axis)]
    top = x.max(axis=axis, keepdims=True)
    if axis < x.ndim - 1:
        total = np.exp(x - top).sum(axis=axis, keepdims=True)
    else:
        ones = np.ones(x.shape[-1], x.dtype)
        total = np.empty(top.shape, x.dtype)
        xs, tops, totals = _as_rows(x, len(ones)), top.reshape(-1, 1), total.reshape(-1)
        for block in _blocks(*xs.shape):
            e = np.subtract(xs[block], tops[block])
            np.exp(e, e)
            np.matmul(e, ones, totals[block])
    np.log(total, total)
    total += top
    return total.reshape(at_class.shape) - at_class, total


def _cross_entropy_rule(g: Any, x: Any, target: Any, total: Any, axis: int) -> Any:
    if not _is_fast(x, g):
        return fused.cross_entropy_vjp_x(g, x, target, total, axis, np)
    axis %= x.ndim
    dx = np.empty(x.shape, x.dtype)
    g = np.expand_dims(g, axis)
    # Along the first axis, which is where blocks are cheap; with the classes there, all at once.
    blocks: Iterable[Any] = _blocks(len(x), x.size // len(x)) if axis else (Ellipsis,)
    for block in blocks:
        part = dx[block]
        np.subtract(x[block], total[block], part)
        np.exp(part, part)
        part[_places(target[block], axis)] -= 1
        part *= g[block]
    return dx


linear.vjp_kernel("numpy")((_linear_rule_x, _linear_rule_weight, _linear_rule_bias))
layer_norm.vjp_kernel("numpy")((_layer_norm_rule_x, _layer_norm_rule_weight, _layer_norm_rule_bias))
cross_entropy_with_logits.vjp_kernel("numpy")((_cross_entropy_rule, None))
