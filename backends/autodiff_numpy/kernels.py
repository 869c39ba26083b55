"""NumPy's own kernels: Python's operators for scalars, and what beats the generic kernels for arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import multiply, subtract

from autodiff_numpy import activations, arithmetic, blocks, indexing, reductions, running, spreading
from autodiff_numpy.arithmetic import free
from autodiff_numpy.blocks import by_elements, is_large, is_plain, vanishing
from autodiff_numpy.loops import loop, usable
from autodiff_numpy.selection import keep

__all__ = ["ARRAY_KERNELS", "ARRAY_RULES", "COMPARING", "SCALAR_KERNELS", "SCALAR_RULES"]

Kernel = Callable[..., Any]

_DOUBLE = np.dtype(np.float64)


def _relu(x: Any) -> Any:
    # NaN compares false, and must stay NaN.
    return x if not x <= 0 else x.dtype.type(0)


def _sigmoid(x: Any) -> Any:
    # No exponential overflows: silencing that, as for arrays, would cost as much as all of this.
    e = np.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


def _tanh_rule(g: Any, y: Any, out: Any = None) -> Any:
    if g.size >= blocks.COMPILED and g.shape == y.shape and is_plain(g, y):
        if g.size > blocks.LARGE:
            out = free(out, y)
            return by_elements(
                _tanh_rule_block_in_place if out is g else _tanh_rule_block, g, y, out=out, once=usable()
            )
        if usable():
            t = np.empty(g.shape, g.dtype)
            loop("tanh_rule", g.size)(g.reshape(-1), y.reshape(-1), t.reshape(-1))
            return t
    # g - g * y * y: three passes through one new array, and no Python number to convert.
    t = multiply(g, y)
    multiply(t, y, t)
    return subtract(g, t, t)


def _tanh_rule_block(out: Any, g: Any, y: Any) -> None:
    if not loop("tanh_rule", g.size)(g, y, out):
        multiply(g, y, out)
        multiply(out, y, out)
        subtract(g, out, out)


def _tanh_rule_block_in_place(out: Any, g: Any, y: Any) -> None:
    if not loop("tanh_rule_in_place", g.size)(out, y):
        t = multiply(g, y)
        multiply(t, y, t)
        subtract(g, t, out)


def _tanh(x: Any) -> Any:
    # In single precision NumPy's own takes no longer than a loop would, in double twice as long.
    if x.size < blocks.COMPILED or x.dtype is not _DOUBLE or not (usable() and is_plain(x)):
        return _tanh_by_numpy(x)
    if x.size > blocks.LARGE:
        return by_elements(_tanh_block, x, once=True, costly=True)
    y = np.empty(x.shape)
    loop("tanh", x.size)(x.reshape(-1), y.reshape(-1))
    return y


def _tanh_block(y: Any, x: Any) -> None:
    if not loop("tanh", x.size)(x, y):  # what comes before a cache line is too short
        np.tanh(x, y)


def _where_x1_is_larger(g: Any, x1: Any, x2: Any) -> Any:
    t = keep(g, x1 > x2)
    tie = x1 == x2
    if np.any(tie):
        t += keep(g / 2, tie)
    return t


def _where_x2_is_larger(g: Any, x1: Any, x2: Any) -> Any:
    return _where_x1_is_larger(g, x2, x1)


def _clip_rule(g: Any, x: Any, min: Any, max: Any) -> Any:  # the attributes' names
    inside = np.bool_(True)
    if min is not None:
        inside = x >= min
    if max is not None:
        inside &= x <= max
    return keep(g, inside)


def _of_elements(function: Any) -> Kernel:
    """Return a function of NumPy's that takes time for each element, for large arrays on several threads."""

    def into(out: Any, x: Any) -> None:
        function(x, out)

    def kernel(x: Any) -> Any:
        return by_elements(into, x) if x.size > blocks.LARGE and is_large(x) else function(x)

    return kernel


_tanh_by_numpy = _of_elements(np.tanh)

_OPERATORS: dict[str, Kernel] = {
    "autodiff_ops.add": operator.add,
    "autodiff_ops.subtract": operator.sub,
    "autodiff_ops.multiply": operator.mul,
    "autodiff_ops.divide": operator.truediv,
    "autodiff_ops.pow": operator.pow,
    "autodiff_ops.negative": operator.neg,
    "autodiff_ops.less": operator.lt,
    "autodiff_ops.less_equal": operator.le,
    "autodiff_ops.greater": operator.gt,
    "autodiff_ops.greater_equal": operator.ge,
    "autodiff_ops.equal": operator.eq,
    "autodiff_ops.not_equal": operator.ne,
}

#: For NumPy's scalars: ufuncs on them cost 0.2 to 0.5 us, Python's operators 0.05.
SCALAR_KERNELS: dict[str, Kernel] = {
    **_OPERATORS,
    "autodiff_ops.abs": operator.abs,
    **activations.KERNELS,
    **spreading.KERNELS,
    "autodiff_activations.relu": _relu,
    "autodiff_activations.sigmoid": vanishing(_sigmoid),
}

#: Of those the ones that compare, which has no meaning for complex numbers.
COMPARING = frozenset({"autodiff_activations.relu", "autodiff_activations.sigmoid"})

#: Functions that take time for each element, or that are called so often as to be worth it.
_OF_ELEMENTS = (
    *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh"),
    *("expm1", "log1p", "exp2", "log2", "log10", "cbrt", "sqrt", "square", "reciprocal"),
)

#: For arrays: the operators are the same ufuncs, called 40 ns faster, and square for a power of two.
ARRAY_KERNELS: dict[str, Kernel] = {
    **_OPERATORS,
    **arithmetic.KERNELS,
    "autodiff_ops.matmul": operator.matmul,
    # Methods: NumPy's functions of these names are Python code, which takes longer than the work.
    "autodiff_ops.getitem": lambda x, *, index: x[index],
    "autodiff_ops.permute_dims": lambda x, *, axes: x.transpose(tuple(axes)),
    "autodiff_ops.reshape": lambda x, *, shape: x.reshape(shape if isinstance(shape, (tuple, list)) else (shape,)),
    **{f"autodiff_ops.{name}": _of_elements(getattr(np, name)) for name in _OF_ELEMENTS},
    "autodiff_ops.tanh": _tanh,
    **activations.KERNELS,
    **reductions.KERNELS,
    **spreading.KERNELS,
    **running.KERNELS,
    "autodiff_ops.setitem": indexing.setitem,
    "autodiff_ops.scatter_add": indexing.scatter_add,
    "autodiff_ops.last_write": indexing.last_write,
}

_SMOOTH = ("sigmoid", "softplus", "log_sigmoid", "silu", "mish")

#: Rules for real numbers in passes that are not recorded, one for each input, naming no more than the op's own.
SCALAR_RULES: dict[str, tuple[Kernel, ...]] = {
    # Those for arrays: they call fewer functions of NumPy than the declared ones, which also ask for the dtype.
    **{f"autodiff_activations.{n}": activations.RULES[f"autodiff_activations.{n}"] for n in _SMOOTH},
    "autodiff_activations.relu": (lambda g, y: g if y > 0 else g.dtype.type(0),),
    **spreading.RULES,
}

ARRAY_RULES: dict[str, tuple[Kernel, ...]] = {
    "autodiff_ops.tanh": (_tanh_rule,),
    "autodiff_ops.maximum": (_where_x1_is_larger, _where_x2_is_larger),
    "autodiff_ops.minimum": (_where_x2_is_larger, _where_x1_is_larger),
    "autodiff_ops.clip": (_clip_rule,),
    **activations.RULES,
    **reductions.RULES,
    **spreading.RULES,
    **running.RULES,
}
