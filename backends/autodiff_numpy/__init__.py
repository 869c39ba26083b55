"""The NumPy backend of autodiff: always there, and the default.

Inside graphs, NumPy's scalars stay what they are: Python's operators on them are seven times faster than
ufuncs on 0-d arrays. Users are always handed 0-d arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from autodiff.extend import ArgumentTypeError, Backend, hookimpl
from autodiff_numpy import arithmetic, blocks
from autodiff_numpy.heap import keep_freed
from autodiff_numpy.kernels import ARRAY_KERNELS, ARRAY_RULES, COMPARING, SCALAR_KERNELS, SCALAR_RULES

__all__ = ["NumpyBackend", "register_backends"]

keep_freed()

_KINDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}


class NumpyBackend(Backend):
    """Arrays in host memory."""

    name = "numpy"
    dlpack_kinds = frozenset({1, 3})  # host memory, and such as CUDA made unmovable
    reuses = True
    scalar_types = tuple(t for t in {*np.sctypeDict.values()} if issubclass(t, np.number | np.bool_))

    def recognises(self, array_type: type) -> bool:
        # Not every subclass: matrices and masked arrays mean something else by the same operators.
        return array_type is np.ndarray or array_type is np.memmap or array_type in self.scalar_types

    @property
    def xp(self) -> Any:
        return np

    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        if type(obj) is np.ndarray and dtype is None and obj.dtype.kind in _KINDS:
            return obj
        if isinstance(obj, np.matrix) or type(obj).__module__.startswith("numpy.ma"):
            raise ArgumentTypeError(
                f"A {type(obj).__name__} would lose its meaning here; pass numpy.asarray(x), or .filled(...) of a masked one"
            )
        wanted = None if dtype is None else self.dtype(dtype)
        try:
            array = np.asarray(obj, dtype=wanted)
        except (TypeError, ValueError, RuntimeError, OverflowError, RecursionError, AttributeError) as exc:
            raise ArgumentTypeError(f"Cannot make an array of {_shown(obj)}: {exc}") from exc
        if type(array) is not np.ndarray:
            array = array.view(np.ndarray)
        if array.dtype.kind not in _KINDS:
            raise ArgumentTypeError(
                f"Cannot compute with {_shown(obj)}, which NumPy reads as dtype {array.dtype}; "
                f"expected numbers: floating, complex, integer or boolean"
            )
        if dtype is None and isinstance(obj, int | float | complex | list | tuple | range) and array.dtype.kind in "iu":
            array = array.astype(np.float64)  # numbers and lists, integers too, mean the reals
        if type(obj) in (int, float, complex, bool):
            return array[()]
        return array

    def to_numpy(self, array: Any) -> Any:
        return np.array(array)

    def device(self, array: Any) -> str:
        return "cpu"

    def to_device(self, array: Any, device: str | None) -> Any:
        if device not in (None, "cpu"):
            raise ArgumentTypeError(f"The backend 'numpy' has one device, 'cpu'; it was asked for {device!r}")
        return array

    def add(self, a: Any, b: Any, *, alone: bool = False) -> Any:
        return arithmetic.add(a, b, a if alone else None)

    def multiply(self, a: Any, b: Any, *, out: Any = None) -> Any:
        return arithmetic.multiply(a, b, out)

    def add_product(self, total: Any, a: Any, b: Any) -> Any:
        return arithmetic.add_product(total, a, b)

    def kernel_for(self, op: Any, array_type: type) -> Callable[..., Any] | None:
        if array_type in self.scalar_types:
            if op.id in COMPARING and issubclass(array_type, np.complexfloating):
                return None  # the generic kernels know what to do, or say so
            return SCALAR_KERNELS.get(op.id)
        return ARRAY_KERNELS.get(op.id)

    def testing(self) -> AbstractContextManager[Any]:
        return blocks.tiny()

    def rule_types(self) -> tuple[type, ...]:
        return (np.ndarray, *self.scalar_types)

    def vjp_kernel_for(self, op: Any, array_type: type) -> Any:
        return (SCALAR_RULES if array_type in self.scalar_types else ARRAY_RULES).get(op.id)

    def kind(self, dtype: Any) -> str:
        return _KINDS.get(np.dtype(dtype).kind, "other")

    def dtype(self, name: Any) -> Any:
        try:
            return np.dtype(name)
        except (TypeError, ValueError, AttributeError, RecursionError) as exc:
            raise ArgumentTypeError(f"{_shown(name)} is no NumPy dtype: {exc}") from exc

    def astype(self, array: Any, dtype: Any) -> Any:
        return array.astype(dtype)

    def ones(self, like: Any) -> Any:
        return like.dtype.type(1) if isinstance(like, np.generic) else np.ones(like.shape, like.dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any, array_type: type) -> Any:
        return np.dtype(dtype).type(0) if array_type in self.scalar_types else np.zeros(shape, dtype)

    def unbox(self, array: Any) -> Any:
        return array[()]

    def read_only(self, array: Any) -> Any:
        if isinstance(array, np.generic):
            return array
        view = array.view()
        view.flags.writeable = False
        return view

    def fresh(self, array: Any, *, alone: bool = False) -> Any:
        if isinstance(array, np.generic) or (alone and array.base is None and array.flags.writeable):
            return array
        return blocks.copied(array)

    def same_shape(self, a: Any, b: Any) -> bool:
        return bool(a == b)

    def has_nan(self, array: Any) -> bool:
        return bool(np.isnan(array).any())

    def silence(self) -> None:
        np.seterr(all="ignore")

    def format(self, array: Any) -> str:
        return np.array2string(np.asarray(array), threshold=20, separator=", ", prefix="Value(")


def _shown(obj: Any) -> str:
    try:
        text = repr(obj)
    except RecursionError:  # of lists in lists in lists
        text = "something nested too deeply"
    return f"{text if len(text) < 60 else text[:57] + '...'} of type {type(obj).__qualname__}"


@hookimpl
def register_backends(register: Callable[..., None]) -> None:
    """Register the backend."""
    register(NumpyBackend())
