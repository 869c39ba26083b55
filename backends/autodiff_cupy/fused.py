"""CUDA kernels that do in one launch what would take several: the softmax family, and sums in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import cupy

from autodiff_cupy.building import elementwise, mean_of

Kernel = Callable[..., Any]

_SINGLE, _DOUBLE = cupy.dtype("float32"), cupy.dtype("float64")


# ---- softmax ------------------------------------------------------------------------------------------------------
# Kernels are handed the generic one, for what is not real and floating, or empty, or wrong.


def _exponents(x: Any, axis: Any) -> tuple[Any, Any]:
    """Return the maximum of real numbers over `axis` and the sum of ``exp(x - maximum)``: two launches."""
    top = cupy.max(x, axis=axis, keepdims=True)
    return top, mean_of("sum_exp", "x top", "exp(x - top)", total=True)(x, top, axis=axis, keepdims=True)


def softmax(generic: Kernel, x: Any, *, axis: Any) -> Any:
    """Three launches: maximum, sum, quotient."""
    if x.dtype.kind != "f" or x.size == 0:
        return generic(x, axis=axis)
    return elementwise("softmax", "x top total", "exp(x - top) / total")(x, *_exponents(x, axis))


def softmax_rule(g: Any, y: Any, axis: Any) -> Any:
    """Two launches: the sum of ``g * y``, and the rest."""
    g = g.astype(y.dtype, copy=False)
    total = mean_of("dot", "g y", "g * y", total=True)(g, y, axis=axis, keepdims=True)
    return elementwise("softmax_vjp", "g y total", "(g - total) * y")(g, y, total)


def log_softmax(generic: Kernel, x: Any, *, axis: Any) -> Any:
    """Three launches: maximum, sum, difference."""
    if x.dtype.kind != "f" or x.size == 0:
        return generic(x, axis=axis)
    return elementwise("log_softmax", "x top total", "x - top - log(total)")(x, *_exponents(x, axis))


def log_softmax_rule(g: Any, y: Any, axis: Any) -> Any:
    """Two launches: the sum of ``g``, and the rest."""
    g = g.astype(y.dtype, copy=False)
    total = cupy.sum(g, axis=axis, keepdims=True)
    return elementwise("log_softmax_vjp", "g y total", "g - exp(y) * total")(g, y, total)


# ---- elementwise, where a declaration cannot carry one C expression --------------------------------------------------

_ROOT_HALF, _DENSITY = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
_SLOPE, _CUBIC = math.sqrt(2 / math.pi), 0.044715
_TANH = f"tanh((W){_SLOPE!r} * x * (1 + (W){_CUBIC!r} * x * x))"
#: What infinity times 0 would be NaN of; from 1000 on all is as there.
_LOW, _BOUNDED = "(x < -1000 ? (W)-1000 : x)", "(x > 1000 ? (W)1000 : x < -1000 ? (W)-1000 : x)"
_INNER = f"(W){_SLOPE!r} * (1 + (W){3 * _CUBIC!r} * {_BOUNDED} * {_BOUNDED})"

#: By the attribute `approximate`: the value, and the derivative.
_GELU = {
    "none": (
        f"{_LOW} * (1 + erf(x * (W){_ROOT_HALF!r})) / 2",
        f"(1 + erf(x * (W){_ROOT_HALF!r})) / 2 + {_BOUNDED} * exp(-x * x / 2) * (W){_DENSITY!r}",
    ),
    "tanh": (
        f"{_LOW} * (1 + {_TANH}) / 2",
        f"(1 + {_TANH} + {_BOUNDED} * (1 - {_TANH} * {_TANH}) * {_INNER}) / 2",
    ),
}


def gelu(generic: Kernel, x: Any, *, approximate: str) -> Any:
    """One launch."""
    if x.dtype.kind != "f" or approximate not in _GELU:
        return generic(x, approximate=approximate)
    return elementwise(f"gelu_{approximate}", "x", _GELU[approximate][0])(x)


def gelu_rule(g: Any, x: Any, approximate: str) -> Any:
    """One launch."""
    g, x = _wide(g, x)
    return elementwise(f"gelu_{approximate}_vjp", "g x", f"g * ({_GELU[approximate][1]})")(g, x)


def tanh_rule(g: Any, y: Any) -> Any:
    """One launch."""
    return elementwise("tanh_vjp", "g y", "g - g * y * y")(g.astype(y.dtype, copy=False), y)


# ---- layer norm ---------------------------------------------------------------------------------------------------


def _wide(*arrays: Any) -> list[Any]:
    """Return arrays in the widest of their dtypes, at least single precision; numbers as they are."""
    wide = cupy.result_type(cupy.float32, *[a for a in arrays if isinstance(a, cupy.ndarray)])
    return [a.astype(wide, copy=False) if isinstance(a, cupy.ndarray) else a for a in arrays]


def _moments(x: Any, ndim: int) -> tuple[Any, Any]:
    """Return mean and variance over the last `ndim` axes: two launches."""
    axes = tuple(range(-ndim, 0))
    mean = mean_of("mean", "x", "x")(x, axis=axes, keepdims=True)
    return mean, mean_of("variance", "x mean", "(x - mean) * (x - mean)")(x, mean, axis=axes, keepdims=True)


def layer_norm(generic: Kernel, x: Any, weight: Any, bias: Any, *, ndim: int, eps: float) -> Any:
    """Three launches: mean, variance, the rest."""
    arrays = [a for a in (x, weight, bias) if isinstance(a, cupy.ndarray)]
    fits = 0 < ndim <= x.ndim and all(a.shape in ((), x.shape[x.ndim - ndim :]) for a in arrays[1:])
    if not fits or x.size == 0 or {a.dtype for a in arrays} not in ({_SINGLE}, {_DOUBLE}):
        return generic(x, weight, bias, ndim=ndim, eps=eps)
    kernel = elementwise(
        "layer_norm", "x mean variance weight bias eps", "(x - mean) / sqrt(variance + eps) * weight + bias"
    )
    return kernel(x, *_moments(x, ndim), weight, bias, eps)


def layer_norm_rule_x(g: Any, x: Any, weight: Any, ndim: int, eps: float) -> Any:
    """Five launches: mean, variance, two means of products, the rest."""
    g, x, weight = _wide(g, x, weight)
    axes = tuple(range(-ndim, 0))
    mean, variance = _moments(x, ndim)
    gradient = mean_of("layer_norm_g", "g weight", "g * weight")(g, weight, axis=axes, keepdims=True)
    along = mean_of("layer_norm_gx", "g weight x mean", "g * weight * (x - mean)")(
        g, weight, x, mean, axis=axes, keepdims=True
    )
    kernel = elementwise(
        "layer_norm_vjp_x",
        "g weight x mean variance gradient along eps",
        "(g * weight - gradient - (x - mean) / (variance + eps) * along) / sqrt(variance + eps)",
    )
    return kernel(g, weight, x, mean, variance, gradient, along, eps)


def layer_norm_rule_weight(g: Any, x: Any, weight_shape: Any, ndim: int, eps: float) -> Any:
    """Three launches: mean, variance, sum."""
    g, x = _wide(g, x)
    mean, variance = _moments(x, ndim)
    product = mean_of(
        "layer_norm_vjp_weight", "g x mean variance eps", "g * (x - mean) / sqrt(variance + eps)", total=True
    )
    return product(g, x, mean, variance, eps, axis=tuple(range(g.ndim - ndim)) if weight_shape else None)


def layer_norm_rule_bias(g: Any, bias_shape: Any, ndim: int) -> Any:
    """One launch."""
    (g,) = _wide(g)
    return cupy.sum(g, axis=tuple(range(g.ndim - ndim)) if bias_shape else None)


# ---- cross-entropy ------------------------------------------------------------------------------------------------


@cache
def _entropy() -> Any:
    return cupy.ElementwiseKernel(
        "T top, T exponents, raw T x, I target, int64 count, int64 stride",
        "T loss",
        """
        const bool known = target >= 0 && target < count;
        loss = known ? log(exponents) - (x[(i / stride * count + target) * stride + i % stride] - top) : T(nan(""));
        """,
        "autodiff_cross_entropy",
    )


@cache
def _entropy_vjp() -> Any:
    return cupy.ElementwiseKernel(
        "T x, raw T g, raw T top, raw T total, raw I target, int64 count, int64 stride",
        "T dx",
        """
        const ptrdiff_t example = i / (stride * count) * stride + i % stride;
        const T p = exp(x - top[example]) / total[example];
        dx = g[example] * (p - (target[example] == i / stride % count ? 1 : 0));
        """,
        "autodiff_cross_entropy_vjp",
    )


def _layout(x: Any, axis: int) -> tuple[int, int]:
    """Return the number of classes, and how far apart they lie in memory."""
    axis %= x.ndim
    return x.shape[axis], prod(x.shape[axis + 1 :])


def cross_entropy(generic: Kernel, x: Any, target: Any, *, axis: int) -> Any:
    """Three launches: maximum, sum, the rest.

    Labels are not checked, since the host would have to wait for the device: the loss of one that names no class
    is NaN.
    """
    fits = -x.ndim <= axis < x.ndim and target.shape == (*x.shape[: axis % x.ndim], *x.shape[axis % x.ndim + 1 :])
    if not fits or x.size == 0 or x.dtype not in (_SINGLE, _DOUBLE) or target.dtype.kind not in "iu":
        return generic(x, target, axis=axis)
    top, total = _exponents(x, axis)
    examples = top.reshape(target.shape), total.reshape(target.shape)
    loss = _entropy()(*examples, cupy.ascontiguousarray(x), target, *_layout(x, axis))
    return loss, top, total


def cross_entropy_rule_x(g: Any, x: Any, target: Any, top: Any, total: Any, axis: int) -> Any:
    """One launch."""
    g, x, top, total = _wide(g, x, top, total)
    g, x, top, total, target = map(cupy.ascontiguousarray, (g, x, top, total, target))
    return _entropy_vjp()(x, g, top, total, target, *_layout(x, axis))


# ---- sums in a fixed order ----------------------------------------------------------------------------------------


@cache
def _runs() -> Any:
    return cupy.ElementwiseKernel(
        "raw int64 places, raw T values, int64 count",
        "raw T out",
        """
        // The first thread of each run of equal places adds it up, in order.
        const long long place = places[i];
        if (i == 0 || places[i - 1] != place) {
            T total = T(0);
            for (long long k = i; k < count && places[k] == place; ++k) total += values[k];
            out[place] = total;
        }
        """,
        "autodiff_add_runs",
    )


def add_runs(places: Any, values: Any, out: Any) -> None:
    """Write into ``out[p]`` the sum of the `values` whose entry of `places`, which is sorted, is p."""
    if values.dtype == cupy.float16:
        wide = cupy.zeros(out.shape, cupy.float32)
        add_runs(places, values.astype(cupy.float32), wide)
        out[...] = wide
        return
    _runs()(places, values, places.size, out, size=places.size)
