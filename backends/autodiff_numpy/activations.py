"""Kernels and rules for activations: as few passes over memory as there can be, in as few new arrays.

Each computes what the generic one does; the conformance kit compares the two. Rules never write into what they
are handed. A 0-d array makes NumPy return scalars, which cannot be written into: `_own` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.extend import ArgumentTypeError
from autodiff_numpy import blocks
from autodiff_numpy.arithmetic import free
from autodiff_numpy.blocks import by_elements, in_parts, is_large, is_plain, vanishing
from autodiff_numpy.loops import loop, pays, usable
from autodiff_numpy.selection import choose, keep

__all__ = ["KERNELS", "RULES"]

Function = Callable[..., Any]


def _own(t: Any) -> Any:
    """Return an array as the place for a result; of a scalar None, which lets NumPy make a new one."""
    return t if isinstance(t, np.ndarray) else None


#: From here on the exponential of ``-x`` is 0 in every precision; half precision holds the number.
_END = 1000


def _at_least(x: Any) -> Any:
    """Return what is multiplied by something that is 0 far below, where an infinite `x` would make NaN of it."""
    return x if x.dtype.kind == "c" else np.maximum(x, -_END)


def _bounded(x: Any, high: int = _END) -> Any:
    """Return what is multiplied by something that is 0 on both sides."""
    if x.dtype.kind == "c":
        return x
    t = np.minimum(x, high)
    return np.maximum(t, -_END, out=_own(t))


# ---- elementwise -------------------------------------------------------------------------------------------------


def _relu(x: Any) -> Any:
    if x.size > blocks.LARGE and is_large(x):
        return by_elements(_relu_block, x, once=True)
    if pays(x.size) and is_plain(x):
        y = np.empty(x.shape, x.dtype)
        loop("relu", x.size)(x.reshape(-1), y.reshape(-1))
        return y
    if x.dtype.kind == "c":
        raise ArgumentTypeError(f"relu is for real numbers; it was given dtype {x.dtype}")
    return np.maximum(x, 0)


def _relu_block(out: Any, x: Any) -> None:
    if not loop("relu", x.size)(x, out):
        np.maximum(x, 0, out=out)


def _relu_rule(g: Any, y: Any, out: Any = None) -> Any:
    out = None if out is None else free(out, y)
    alike = g.shape == y.shape
    if g.size > blocks.LARGE and alike and is_large(g, y):
        return by_elements(_relu_rule_block_in_place if out is g else _relu_rule_block, g, y, out=out, once=usable())
    if pays(g.size) and alike and is_plain(g, y):
        made = g if out is g else np.empty(g.shape, g.dtype)
        block = _relu_rule_block_in_place if out is g else _relu_rule_block
        block(made.reshape(-1), g.reshape(-1), y.reshape(-1))
        return made
    return keep(g, y > 0)


def _relu_rule_block(out: Any, g: Any, y: Any) -> None:
    if not loop("relu_rule", g.size)(g, y, out):
        keep(g, y > 0, out)


def _relu_rule_block_in_place(out: Any, g: Any, y: Any) -> None:
    if not loop("relu_rule_in_place", g.size)(out, y):
        keep(g, y > 0, out)


def _relu6_rule(g: Any, y: Any) -> Any:
    return keep(g, (y > 0) & (y < 6))


def _sigmoid(x: Any) -> Any:
    # Where the exponential is inf, its reciprocal is the 0 that is meant.
    with np.errstate(over="ignore", under="ignore"):
        t = np.exp(-x)
        t += 1
        return np.reciprocal(t, out=_own(t))


def _sigmoid_rule(g: Any, y: Any) -> Any:
    t = np.multiply(y, y)
    t = np.subtract(y, t, out=_own(t))
    t *= g
    return t


def _log1p_exp(x: Any) -> Any:
    """Return ``log(1 + exp(-abs(x)))``."""
    if x.dtype.kind == "c":
        raise ArgumentTypeError(f"this activation is for real numbers; it was given dtype {x.dtype}")
    t = np.abs(x)
    t = np.exp(np.negative(t, out=_own(t)))
    return np.log1p(t, out=_own(t))


def _softplus(x: Any) -> Any:
    t = _log1p_exp(x)
    t += np.maximum(x, 0)
    return t


def _softplus_rule(g: Any, y: Any) -> Any:
    t = np.negative(y)
    t = np.expm1(t, out=_own(t))
    t *= g
    return np.negative(t, out=_own(t))


def _log_sigmoid(x: Any) -> Any:
    t = _log1p_exp(x)
    return np.subtract(np.minimum(x, 0), t, out=_own(t))


def _log_sigmoid_rule(g: Any, y: Any) -> Any:
    t = np.expm1(y)
    t *= g
    return np.negative(t, out=_own(t))


def _silu(x: Any) -> Any:
    with np.errstate(over="ignore", under="ignore"):
        t = np.exp(-x)
        t += 1
        return np.divide(_at_least(x), t, out=_own(t))


def _silu_rule(g: Any, x: Any) -> Any:
    s = _sigmoid(x)
    t = np.subtract(1, s)
    t *= _bounded(x)
    t += 1
    t *= s
    t *= g
    return t


def _mish_parts(x: Any) -> tuple[Any, Any, Any]:
    """Return `x`, ``e = exp(x)`` and ``n = e * (e + 2)``, of which ``tanh(softplus(x))`` is ``n / (n + 2)``."""
    if x.dtype.kind == "c":
        raise ArgumentTypeError(f"mish is for real numbers; it was given dtype {x.dtype}")
    # From 40 on that is 1 in every precision, and in float32 nothing has overflowed yet.
    x = _bounded(x, 40)
    e = np.exp(x)
    n = e + 2
    n *= e
    return x, e, n


def _mish(x: Any) -> Any:
    if x.dtype == np.float16:
        return _mish(x.astype(np.float32)).astype(np.float16)
    _, e, n = _mish_parts(x)
    t = np.add(n, 2, out=_own(e))
    n /= t
    n *= _at_least(x)
    return n


def _mish_rule(g: Any, x: Any) -> Any:
    # n / (n + 2) + 4 x e (1 + e) / (n + 2)**2, each factor divided by itself lest a product overflow.
    # What is left of the second term from 40 on is 0, which no large x may bring back.
    x, e, n = _mish_parts(x.astype(np.float32) if x.dtype == np.float16 else x)
    q = n + 2
    t = e + 1
    e /= q
    t /= q
    t *= e
    t *= x
    t *= 4
    n /= q
    n += t
    n *= g
    return n


def _softsign_rule(g: Any, x: Any) -> Any:
    size = np.abs(x)
    size += 1
    t = np.divide(g, size)
    t /= size
    return t


def _tanhshrink_rule(g: Any, x: Any) -> Any:
    t = np.tanh(x)
    t *= t
    t *= g
    return t


def _scaled(g: Any, y: Any, offset: float) -> Any:
    t = np.add(y, offset)
    t *= g
    return t


def _elu_rule(g: Any, y: Any, alpha: float) -> Any:
    if alpha == 1:  # no mask then: above zero the factor is 0 + 1
        return _scaled(g, np.minimum(y, 0), 1)
    return choose(y > 0, g, _scaled(g, y, alpha))


def _celu_rule(g: Any, y: Any, alpha: float) -> Any:
    t = np.minimum(y, 0)
    if alpha != 1:
        t /= alpha
    t += 1
    t *= g
    return t


def _leaky_relu_rule(g: Any, x: Any, negative_slope: float) -> Any:
    return choose(x > 0, g, np.multiply(g, negative_slope))


def _hard_tanh_rule(g: Any, x: Any, min_val: float, max_val: float) -> Any:
    return keep(g, (x > min_val) & (x < max_val))


def _hard_sigmoid_rule(g: Any, x: Any) -> Any:
    t = keep(g, (x > -3) & (x < 3))
    t /= 6
    return t


def _hard_swish_rule(g: Any, x: Any) -> Any:
    t = np.divide(x, 3)
    t += 0.5
    t *= g
    return keep(choose(x < 3, t, np.array(g)), x > -3)


# ---- over an axis ------------------------------------------------------------------------------------------------


def _glu_rule(g: Any, x: Any, axis: int) -> Any:
    half, before = x.shape[axis] // 2, (slice(None),) * (axis % x.ndim)
    first, second = (*before, slice(None, half)), (*before, slice(half, None))
    s = _sigmoid(x[second])
    out = np.empty(x.shape, g.dtype)
    np.multiply(g, s, out=out[first])
    np.multiply(out[first], x[first], out=out[second])
    out[second] *= np.subtract(1, s, out=s)
    return out


_PLUGIN = "autodiff_activations."

KERNELS: dict[str, Function] = {
    _PLUGIN + "relu": _relu,
    _PLUGIN + "sigmoid": in_parts(_sigmoid),
    _PLUGIN + "softplus": vanishing(in_parts(_softplus)),
    _PLUGIN + "log_sigmoid": vanishing(in_parts(_log_sigmoid)),
    _PLUGIN + "silu": in_parts(_silu),
    _PLUGIN + "mish": vanishing(in_parts(_mish)),
}

#: One for each input; they name no more than the op's own.
RULES: dict[str, tuple[Function, ...]] = {
    _PLUGIN + "relu": (_relu_rule,),
    _PLUGIN + "relu6": (in_parts(_relu6_rule),),
    _PLUGIN + "leaky_relu": (in_parts(_leaky_relu_rule),),
    _PLUGIN + "elu": (in_parts(_elu_rule),),
    _PLUGIN + "celu": (in_parts(_celu_rule),),
    _PLUGIN + "hard_tanh": (in_parts(_hard_tanh_rule),),
    _PLUGIN + "hard_sigmoid": (in_parts(_hard_sigmoid_rule),),
    _PLUGIN + "hard_swish": (in_parts(_hard_swish_rule),),
    _PLUGIN + "sigmoid": (vanishing(in_parts(_sigmoid_rule)),),
    _PLUGIN + "softplus": (vanishing(in_parts(_softplus_rule)),),
    _PLUGIN + "log_sigmoid": (vanishing(in_parts(_log_sigmoid_rule)),),
    _PLUGIN + "silu": (vanishing(in_parts(_silu_rule)),),
    _PLUGIN + "mish": (vanishing(in_parts(_mish_rule)),),
    _PLUGIN + "softsign": (in_parts(_softsign_rule),),
    _PLUGIN + "tanhshrink": (in_parts(_tanhshrink_rule),),
    _PLUGIN + "glu": (_glu_rule,),
}
