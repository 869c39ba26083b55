"""NumPy's own kernels and rules of the fused ops: a block of rows at a time, which stays in the processor's cache."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from autodiff_nn import fused
from autodiff_nn.fused import cross_entropy_with_logits, layer_norm, linear
from autodiff_nn.steps import adam_factors, adam_step, momentum_step
from autodiff_numpy import blocks
from autodiff_numpy.blocks import in_blocks, rows, vanishing
from autodiff_numpy.loops import bounds, loop, usable
from autodiff_numpy.reductions import column_sums, exponential_sums, exponentials
from autodiff_numpy.reductions import total as lane_sums

_FAST = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


def _as_rows(x: Any, width: int) -> Any:
    return np.ascontiguousarray(x).reshape(x.size // width, width)


def _row_sums(x: Any) -> Any:
    """Sum each row, as a column."""
    return lane_sums(x[:, :, None])[:, :, 0]


# ---- linear --------------------------------------------------------------------------------------------------


@linear.kernel("numpy")
def _linear(x: Any, weight: Any, bias: Any) -> Any:
    fused._check_linear(x, weight, bias)
    y = _rows_times(x, weight.T)
    dtype = getattr(bias, "dtype", y.dtype)
    if isinstance(y, np.ndarray) and dtype == y.dtype and type(bias) is not complex:
        y += bias
        return y
    return y + bias


def _rows_times(x: Any, matrix: Any) -> Any:
    """Return ``x @ matrix`` by one product: NumPy makes one for each matrix of a stack."""
    if x.ndim < 3 or not x.flags.c_contiguous:
        return x @ matrix
    # Into an array that is no view: what comes next may write into it.
    y = np.empty((*x.shape[:-1], matrix.shape[1]), np.result_type(x, matrix))
    rows = prod(x.shape[:-1])
    np.matmul(x.reshape(rows, x.shape[-1]), matrix, y.reshape(rows, matrix.shape[1]))
    return y


# Of real numbers: those of complex ones are the op's own.
def _linear_rule_x(g: Any, weight: Any) -> Any:
    return _rows_times(g, weight)


def _linear_rule_weight(g: Any, x: Any) -> Any:
    if x.ndim != 2:
        g, x = fused._rows(g, np), fused._rows(x, np)
    return g.T @ x


def _linear_rule_bias(g: Any, bias_shape: Any) -> Any:
    rows = fused._rows(g, np)
    if bias_shape and g.dtype in _FAST:
        return np.ones(len(rows), g.dtype) @ rows  # half the time of a sum along the first axis
    dtype = np.float32 if g.dtype == np.float16 else None  # half precision is summed in float32
    return rows.sum(axis=0, dtype=dtype) if bias_shape else g.sum(dtype=dtype)


# ---- layer norm ----------------------------------------------------------------------------------------------


def _is_fast(*arrays: Any) -> bool:
    """Tell whether all arrays have one of the dtypes that need no care, and Python's numbers besides."""
    dtypes = {a.dtype for a in arrays if isinstance(a, np.ndarray | np.generic)}
    return len(dtypes) == 1 and dtypes <= _FAST and arrays[0].size > 0


def _flat(part: Any) -> Any:
    return part.reshape(-1) if getattr(part, "shape", ()) else part


def _spread(part: Any, x: Any, width: int) -> Any:
    """Return a weight or a bias as an array of one axis, also if it is one number."""
    return part.reshape(-1) if getattr(part, "shape", ()) else np.full(width, part, x.dtype)


def _centre(x: Any, eps: float, out: Any) -> Any:
    """Write x less the mean of each row into `out`; return 1 / sqrt(variance + eps), as a column."""
    width = x.shape[1]
    np.subtract(x, _row_sums(x) / width, out)
    factor = np.vecdot(out, out)[:, None]
    factor /= width
    factor += eps
    np.sqrt(factor, factor)
    return np.divide(1, factor, factor)


def _cut_rows(xs: Any) -> list[slice]:
    """Cut rows; those of smaller arrays not at all where a loop passes over them once."""
    return rows(len(xs), xs.shape[1], least=blocks.ONCE if usable() else None)


@layer_norm.kernel("numpy")
def _layer_norm(x: Any, weight: Any, bias: Any, *, ndim: int, eps: float) -> Any:
    fused._check_layer_norm(x, weight, bias, ndim)
    if not _is_fast(x, weight, bias):
        return layer_norm.function(np, x, weight, bias, ndim=ndim, eps=eps)
    width = prod(x.shape[x.ndim - ndim :])
    y = np.empty(x.shape, x.dtype)
    xs, ys = _as_rows(x, width), _as_rows(y, width)
    weight, bias = _spread(weight, x, width), _spread(bias, x, width)
    constants = x.dtype.type(1 / width), x.dtype.type(eps), bounds(x.dtype)[1]

    def work(block: slice) -> None:
        part = ys[block]
        if loop("layer_norm", part.size)(xs[block], weight, bias, *constants, part):
            return
        part *= _centre(xs[block], eps, part)
        part *= weight
        part += bias

    in_blocks(work, _cut_rows(xs))
    return y


def _layer_norm_rule_x(g: Any, x: Any, weight: Any, ndim: int, eps: float) -> Any:
    if not _is_fast(g, x, weight):
        return fused.layer_norm_vjp_x(g, x, weight, ndim, eps, np)
    width = prod(x.shape[x.ndim - ndim :])
    dx = np.empty(x.shape, x.dtype)
    gs, xs, dxs = (_as_rows(a, width) for a in (g, x, dx))
    weight = _flat(weight)

    def work(block: slice) -> None:
        part = dxs[block]
        y = np.empty(part.shape, x.dtype)
        factor = _centre(xs[block], eps, y)
        np.multiply(gs[block], weight, part)
        # y has the length sqrt(width) / factor: its share is divided by the square of that.
        y *= np.vecdot(part, y)[:, None] * factor * factor / width
        y += _row_sums(part) / width
        part -= y
        part *= factor

    in_blocks(work, rows(*xs.shape))
    return dx


def _layer_norm_rule_weight(g: Any, x: Any, weight_shape: Any, ndim: int, eps: float) -> Any:
    if not weight_shape or not _is_fast(g, x):
        return fused.layer_norm_vjp_weight(g, x, weight_shape, ndim, eps, np)
    width = prod(weight_shape)
    gs, xs = _as_rows(g, width), _as_rows(x, width)
    blocks = rows(*xs.shape)
    sums = np.empty((len(blocks), width), x.dtype)

    def work(i: int) -> None:
        y = np.empty(xs[blocks[i]].shape, x.dtype)
        y *= _centre(xs[blocks[i]], eps, y)
        y *= gs[blocks[i]]
        np.add.reduce(y, axis=0, out=sums[i])

    in_blocks(work, range(len(blocks)))
    return sums.sum(axis=0).reshape(weight_shape)


def _layer_norm_rule_bias(g: Any, bias_shape: Any, ndim: int) -> Any:
    if not bias_shape or not _is_fast(g):
        return fused.layer_norm_vjp_bias(g, bias_shape, ndim, np)
    return column_sums(_as_rows(g, prod(bias_shape))).reshape(bias_shape)


def _layer_norm_rule(
    g: Any, x: Any, weight: Any, weight_shape: Any, bias_shape: Any, ndim: int, eps: float, needs: tuple[bool, ...]
) -> Any:
    """Return the gradients of all three inputs: each block of rows is centred once."""
    if not _is_fast(g, x, weight):
        return (
            fused.layer_norm_vjp_x(g, x, weight, ndim, eps, np),
            fused.layer_norm_vjp_weight(g, x, weight_shape, ndim, eps, np),
            fused.layer_norm_vjp_bias(g, bias_shape, ndim, np),
        )
    width = prod(x.shape[x.ndim - ndim :])
    dx = np.empty(x.shape, x.dtype)
    gs, xs, dxs = (_as_rows(a, width) for a in (g, x, dx))
    weight = _spread(weight, x, width)
    constants = x.dtype.type(1 / width), x.dtype.type(eps), bounds(x.dtype)[1]
    parts = _cut_rows(xs)
    sums = np.zeros((2, len(parts), width), x.dtype)

    def work(i: int) -> None:
        g, part = gs[parts[i]], dxs[parts[i]]
        if loop("layer_norm_rule", part.size)(g, xs[parts[i]], weight, *constants, part, *sums[:, i]):
            return
        y = np.empty(part.shape, x.dtype)
        factor = _centre(xs[parts[i]], eps, y)
        np.multiply(g, y, part)
        np.einsum("i,ij->j", factor[:, 0], part, out=sums[0, i])
        np.add.reduce(g, axis=0, out=sums[1, i])
        # In place, which takes half the time of the same into a third array. As in the rule of x alone.
        y *= np.vecdot(part, weight)[:, None] * factor * factor / width
        y += np.vecdot(g, weight)[:, None] / width
        np.multiply(g, weight, part)
        part -= y
        part *= factor

    in_blocks(work, range(len(parts)))
    dweight, dbias = sums.sum(axis=1)
    return (
        dx,
        dweight.reshape(weight_shape) if weight_shape else dweight.sum(),
        dbias.reshape(bias_shape) if bias_shape else dbias.sum(),
    )


# ---- cross-entropy -------------------------------------------------------------------------------------------


def _places(target: Any, axis: int) -> tuple[Any, ...]:
    """Return the index of the elements that `target` names along `axis`."""
    grid = np.indices(target.shape, sparse=True)
    return (*grid[:axis], target, *grid[axis:])


def _lanes(x: Any, axis: int) -> Any:
    """Return an array as one of three axes, the middle one of which is `axis`."""
    return x.reshape(prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))


def _are_classes(x: Any, target: Any, axis: int) -> bool:
    """Tell whether `target` holds labels of classes along the last of two axes of `x`."""
    if x.ndim != 2 or axis not in (1, -1) or target.shape != x.shape[:1] or target.dtype.kind not in "iu":
        return False
    return bool(target.size > 0 and target.min() >= 0 and target.max() < x.shape[1])


@cross_entropy_with_logits.kernel("numpy")
@vanishing
def _cross_entropy(x: Any, target: Any, *, axis: int) -> Any:
    if not _are_classes(x, target, axis):
        fused._check_cross_entropy(np, x, target, axis)  # which takes longer, and says what is wrong
    if not _is_fast(x):
        return cross_entropy_with_logits.function(np, x, target, axis=axis)
    axis %= x.ndim
    at_class = x[_places(target, axis)]
    if x.size < blocks.COMPILED:
        top = x.max(axis=axis, keepdims=True)
        total = np.exp(x - top).sum(axis=axis, keepdims=True)
    else:
        top, total = (np.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype) for _ in range(2))

        def work(block: Any) -> None:
            np.maximum.reduce(x[block], axis=axis, keepdims=True, out=top[block])
            _lanes(total[block], axis)[...] = exponential_sums(_lanes(x[block], axis), _lanes(top[block], axis))

        in_blocks(work, _along_first(x, axis))
    at_class -= top.reshape(at_class.shape)
    return np.log(total).reshape(at_class.shape) - at_class, top, total


def _along_first(x: Any, axis: int) -> list[Any]:
    """Cut along the first axis, which is where blocks are cheap; with the classes there, not at all."""
    return rows(len(x), x.size // len(x)) if axis else [Ellipsis]


@vanishing
def _cross_entropy_rule(g: Any, x: Any, target: Any, top: Any, total: Any, axis: int) -> Any:
    if not _is_fast(x, g):
        return fused.cross_entropy_vjp_x(g, x, target, top, total, axis, np)
    axis %= x.ndim
    if x.size < blocks.COMPILED:
        dx = np.exp(x - top)
        dx /= total
        dx[_places(target, axis)] -= 1
        dx *= g.reshape(total.shape)
        return dx
    dx = np.empty(x.shape, x.dtype)
    factor = g.reshape(total.shape) / total

    def work(block: Any) -> None:
        exponentials(*(_lanes(a[block], axis) for a in (x, top, factor, dx)))

    in_blocks(work, _along_first(x, axis))
    places = _places(target, axis)
    at_class = np.exp(x[places] - top.reshape(target.shape))
    at_class /= total.reshape(target.shape)
    at_class -= 1
    dx[places] = at_class * g
    return dx


linear.vjp_kernel("numpy")((_linear_rule_x, _linear_rule_weight, _linear_rule_bias))
layer_norm.vjp_kernel("numpy", joint=_layer_norm_rule)(
    (_layer_norm_rule_x, _layer_norm_rule_weight, _layer_norm_rule_bias)
)
cross_entropy_with_logits.vjp_kernel("numpy")((_cross_entropy_rule, None))


# ---- steps of optimisers -------------------------------------------------------------------------------------


def _by_blocks(compute: Any, outputs: int, *arrays: Any) -> tuple[Any, ...]:
    """Return `outputs` new arrays, which ``compute(outs, ins)`` fills block by block; all arrays are of one shape."""
    made = tuple(np.empty(arrays[0].shape, arrays[0].dtype) for _ in range(outputs))
    outs, ins = [a.reshape(-1) for a in made], [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    in_blocks(lambda block: compute([a[block] for a in outs], [a[block] for a in ins]), rows(arrays[0].size, 1))
    return made


#: Up to so many elements calls cost more than passes over memory, and the op's own kernel makes the fewest.
_SMALL = 2048


def _is_plain(*arrays: Any) -> bool:
    return _is_fast(*arrays) and len({getattr(a, "shape", ()) for a in arrays}) == 1


@momentum_step.kernel("numpy")
def _momentum_step(x: Any, g: Any, velocity: Any, **options: Any) -> Any:
    if type(x) is not np.ndarray or x.size <= _SMALL or not _is_plain(x, g, velocity):
        return momentum_step.function(np, x, g, velocity, **options)
    lr, momentum, decay = options["lr"], options["momentum"], options["weight_decay"]

    def compute(outs: Any, ins: Any) -> None:
        (out, new), (x, g, velocity) = outs, ins
        g = g + decay * x if decay else g
        np.multiply(velocity, momentum, new)
        new += g if options["dampening"] == 0 else (1 - options["dampening"]) * g
        if options["nesterov"]:
            np.multiply(new, momentum, out)
            out += g
            out *= lr
        else:
            np.multiply(new, lr, out)
        np.subtract(x, out, out)

    return _by_blocks(compute, 2, x, g, velocity)


_small_adam_step = adam_step.function


@adam_step.kernel("numpy")
def _adam_step(
    x: Any,
    g: Any,
    mean: Any,
    square: Any,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> Any:
    large = type(x) is np.ndarray and x.size > _SMALL and _is_plain(x, g, mean, square)
    return (_large_adam_step if large else _small_adam_step)(
        np, x, g, mean, square, step=step, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, decoupled=decoupled
    )


def _large_adam_step(
    xp: Any,
    x: Any,
    g: Any,
    mean: Any,
    square: Any,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> Any:
    keep, keep_square = betas
    scale, eps = adam_factors(step, lr, betas, eps, weight_decay)

    def compute(outs: Any, ins: Any) -> None:
        (out, new, new_square), (x, g, mean, square) = outs, ins
        if weight_decay and not decoupled:
            g = g + weight_decay * x
        part = g * (1 - keep)
        np.multiply(mean, keep, new)
        new += part
        np.multiply(g, g, part)
        part *= 1 - keep_square
        np.multiply(square, keep_square, new_square)
        new_square += part
        np.sqrt(new_square, part)
        part += eps
        np.divide(new, part, part)
        part *= scale
        np.subtract(x * (1 - lr * weight_decay) if decoupled else x, part, out)

    return _by_blocks(compute, 3, x, g, mean, square)
