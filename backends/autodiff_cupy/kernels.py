"""CuPy's own kernels and rules: where it lacks what the generic ones call, or differs, or takes fewer launches.

Each computes what the generic one does; the conformance kit compares the two. None of them reads device memory
from the host, with one exception that is named there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import cupy
import numpy as np

from autodiff_cupy import fused, linalg, steps
from autodiff_cupy.determinism import is_deterministic

__all__ = ["FUSED", "KERNELS", "RULES"]

Kernel = Callable[..., Any]

_HALF = cupy.dtype("float16")

#: What ``cupy.add.at`` adds exactly, by atomic operations on the numbers themselves.
_ATOMIC = frozenset(map(cupy.dtype, ("float32", "float64", "int32", "int64", "uint32", "uint64")))


# ---- reductions: CuPy's have no `correction`, and counting knows no `keepdims` ------------------------------------


def _var(x: Any, *, axis: Any, correction: float, keepdims: bool) -> Any:
    wide = x.astype(cupy.float32) if x.dtype == _HALF else x
    return cupy.var(wide, axis=axis, ddof=correction, keepdims=keepdims).real.astype(x.real.dtype, copy=False)


def _std(x: Any, *, axis: Any, correction: float, keepdims: bool) -> Any:
    wide = x.astype(cupy.float32) if x.dtype == _HALF else x
    return cupy.std(wide, axis=axis, ddof=correction, keepdims=keepdims).real.astype(x.real.dtype, copy=False)


def _count_nonzero(x: Any, *, axis: Any, keepdims: bool) -> Any:
    return cupy.sum(x != 0, axis=axis, keepdims=keepdims, dtype=cupy.int64)


# ---- order: CuPy's sorts are stable as they are, and have no word for it ------------------------------------------


def _argsort(x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    if not descending:
        return cupy.argsort(x, axis=axis)
    # Turned round twice, which keeps the order of equal elements.
    order = cupy.argsort(cupy.flip(x, axis=axis), axis=axis)
    return x.shape[axis] - 1 - cupy.flip(order, axis=axis)


# ---- indices ------------------------------------------------------------------------------------------------------


def _repeats(index: Any) -> bool:
    """Tell whether an index may name one place twice: whether it holds integer arrays."""
    return any(_is_list(i) or (isinstance(i, cupy.ndarray) and i.dtype != bool) for i in index)


def _is_list(i: Any) -> bool:
    return isinstance(i, tuple | list) or (hasattr(i, "__array_interface__") and i.ndim > 0)


def _on_device(index: Any) -> Any:
    """Return an index whose lists are device arrays: CuPy would copy each of them anew for every use."""
    return tuple(_listed(i) if _is_list(i) else i for i in index)


def _listed(i: Any) -> Any:
    """Return a list of places as a device array; an empty one is of floating numbers unless it is told otherwise."""
    empty = isinstance(i, tuple | list) and not np.size(i)
    return cupy.asarray(i, dtype=cupy.int64) if empty else cupy.asarray(i)


def _check(shape: Any, index: Any) -> None:
    """Refuse places that are not there where that costs nothing: in what the host knows. CuPy wraps them round.

    Raises
    ------
    IndexError
        A list or an array of NumPy names a place beyond the end of its axis.
    """
    axis = 0
    for position, i in enumerate(index):
        if i is Ellipsis:
            axis = len(shape) - sum(map(_axes, index[position + 1 :]))
        elif _is_list(i):
            places = np.asarray(i)
            size = shape[axis] if axis < len(shape) else 0
            if places.dtype.kind in "iu" and places.size and not -size <= places.min() <= places.max() < size:
                wrong = places.max() if places.max() >= size else places.min()
                raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {size}")
            axis += _axes(i)
        else:
            axis += _axes(i)


def _axes(i: Any) -> int:
    """Return how many axes of an array a part of an index stands for."""
    if i is None or i is Ellipsis:
        return 0
    if not (_is_list(i) or isinstance(i, cupy.ndarray)):
        return 1
    array = i if hasattr(i, "dtype") else np.asarray(i)
    return int(array.ndim) if array.dtype == bool else 1


def _getitem(x: Any, *, index: Any) -> Any:
    _check(x.shape, index)
    return x[index]


def _places(shape: Any, index: Any) -> Any:
    """Return the number of each element that `index` names in an array of `shape`."""
    return cupy.arange(prod(shape), dtype=cupy.int64).reshape(shape)[index]


def _scatter_add(x: Any, *, shape: Any, index: Any) -> Any:
    """Zeros of `shape` with `x` added at `index`.

    Numbers that are added to one place come in no fixed order, since that is how the device works: their sum may
    differ in its last digits from run to run, unless `deterministic` is on.
    """
    if not _repeats(index):
        out = cupy.zeros(shape, x.dtype)
        out[_on_device(index)] = x
        return out
    index = _on_device(index)
    if is_deterministic():
        return _add_in_order(x, shape, index)
    if x.dtype.kind == "c":
        # Real and imaginary parts are added apart: there are no complex atomic operations.
        out = cupy.zeros(shape, x.dtype)
        for part, given in ((out.real, x.real), (out.imag, x.imag)):
            part[...] = _scatter_add(cupy.array(given, order="C"), shape=shape, index=index)
        return out
    # Half precision would count to 2048 only; the other narrow types have no atomic operations.
    wide = x.dtype if x.dtype in _ATOMIC else cupy.float32 if x.dtype == _HALF else cupy.int64
    out = cupy.zeros(shape, wide)
    cupy.add.at(out, index, x.astype(wide, copy=False))
    return out.astype(x.dtype, copy=False)


def _add_in_order(x: Any, shape: Any, index: Any) -> Any:
    """Add up what belongs to one place in the order of `x`: sort by place, then one thread for each place."""
    places = _places(shape, index).ravel()
    order = cupy.argsort(places)  # stable
    out = cupy.zeros(prod(shape), x.dtype)
    if places.size:
        fused.add_runs(places[order], x.ravel()[order], out)
    return out.reshape(shape)


def _last(shape: Any, index: Any) -> tuple[Any, Any]:
    """Return for each element that `index` names its turn, in C order, and the last turn at its place."""
    places = _places(shape, index)
    turn = cupy.arange(places.size, dtype=cupy.int64).reshape(places.shape)
    latest = cupy.zeros(prod(shape), cupy.int64)
    cupy.maximum.at(latest, places, turn)  # exact for integers; in float64 it would round to float32 (CuPy 14.2)
    return turn, latest[places]


def _setitem(x: Any, value: Any, *, index: Any) -> Any:
    """A copy of `x` with `value` at `index`; of several writes to one place the last in C order stays.

    Where several threads write to one place any of them may win. All write the same here: the last value.
    """
    _check(x.shape, index)
    out = cupy.array(x, order="C")
    if not _repeats(index):
        out[_on_device(index)] = value
        return out
    index = _on_device(index)
    turn, last = _last(x.shape, index)
    if hasattr(value, "shape"):
        value = cupy.broadcast_to(value, turn.shape).ravel()[last]
    out[index] = value
    return out


def _last_write(x: Any, *, index: Any) -> Any:
    turn, last = _last(x.shape, _on_device(index))
    return turn == last


# ---- arithmetic ---------------------------------------------------------------------------------------------------


def _pow(generic: Kernel, x1: Any, x2: Any) -> Any:
    """Refuse what NumPy refuses, if the host knows the exponent: CuPy returns 0."""
    if type(x2) is int and x2 < 0 and x1.dtype.kind in "iu":
        raise ValueError("Integers to negative integer powers are not allowed.")
    return generic(x1, x2)


# ---- the table ----------------------------------------------------------------------------------------------------

KERNELS: dict[str, Kernel] = {
    "autodiff_ops.var": _var,
    "autodiff_ops.std": _std,
    "autodiff_ops.count_nonzero": _count_nonzero,
    "autodiff_ops.argsort": _argsort,
    "autodiff_ops.getitem": _getitem,
    "autodiff_ops.scatter_add": _scatter_add,
    "autodiff_ops.setitem": _setitem,
    "autodiff_ops.last_write": _last_write,
}

#: Kernels whose first argument is the generic kernel.
FUSED: dict[str, Kernel] = {
    "autodiff_ops.pow": _pow,
    "autodiff_activations.gelu": fused.gelu,
    "autodiff_activations.softmax": fused.softmax,
    "autodiff_activations.log_softmax": fused.log_softmax,
    "autodiff_nn.layer_norm": fused.layer_norm,
    "autodiff_nn.cross_entropy_with_logits": fused.cross_entropy,
    "autodiff_nn.sgd_step": steps.sgd_step,
    "autodiff_nn.momentum_step": steps.momentum_step,
    "autodiff_nn.adam_step": steps.adam_step,
    **linalg.CHECKED,
}

#: Rules for real numbers in passes that are not recorded, one for each input, naming no more than the op's own.
RULES: dict[str, tuple[Kernel | None, ...]] = {
    "autodiff_ops.tanh": (fused.tanh_rule,),
    "autodiff_activations.gelu": (fused.gelu_rule,),
    "autodiff_activations.softmax": (fused.softmax_rule,),
    "autodiff_activations.log_softmax": (fused.log_softmax_rule,),
    "autodiff_nn.layer_norm": (fused.layer_norm_rule_x, fused.layer_norm_rule_weight, fused.layer_norm_rule_bias),
    "autodiff_nn.cross_entropy_with_logits": (fused.cross_entropy_rule_x, None),
}
