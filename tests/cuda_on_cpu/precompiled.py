"""What the wheel has as compiled device code, which no stand-in can run: replaced by NumPy, or refused.

Such modules have NVIDIA's runtime inside; beside a stand-in driver they fail without a word.
"""

from __future__ import annotations

import ctypes
from typing import Any, NoReturn

import cupy
import cupy.cuda.cub
import cupy.cuda.thrust
import cupy.random
import numpy as np

__all__ = ["replace_precompiled"]

CUB = (
    "device_reduce",
    "device_segmented_reduce",
    "device_csrmv",
    "device_scan",
    "device_histogram",
    "cub_reduction",
    "cub_scan",
)


def _array(pointer: int, shape: Any, dtype: Any) -> Any:
    """Return device memory, which is host memory here, as a NumPy array."""
    count = int(np.prod(shape))
    buffer = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(pointer)
    return np.frombuffer(buffer, dtype=dtype, count=count).reshape(shape)


def _sort(dtype: Any, data: int, keys: int, shape: Any) -> None:
    values = _array(data, shape, dtype)
    values[...] = np.sort(values, axis=-1, kind="stable")


def _argsort(dtype: Any, indices: int, data: int, keys: int, shape: Any) -> None:
    values = _array(data, shape, dtype)
    order = np.argsort(values, axis=-1, kind="stable")
    _array(indices, shape, np.intp)[...] = order
    values[...] = np.take_along_axis(values, order, -1)


def _lexsort(dtype: Any, indices: int, keys: int, key_count: int, count: int) -> None:
    _array(indices, (count,), np.intp)[...] = np.lexsort(_array(keys, (key_count, count), dtype))


class Generator:
    """NumPy's generator in the place of CuPy's, with the methods that both have; the numbers are not a card's."""

    def __init__(self, seed: Any = None) -> None:
        self._host = np.random.default_rng(seed)

    def random(self, size: Any = None, dtype: Any = np.float64) -> Any:
        """Draw uniformly from 0 to 1."""
        return _on_device(self._host.random(size, dtype))

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        """Draw uniformly from `low` to `high`."""
        return _on_device(self._host.uniform(low, high, size))

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Any:
        """Draw from the normal distribution."""
        return _on_device(self._host.standard_normal(size, dtype))

    def integers(self, low: int, high: int | None = None, size: Any = None, dtype: Any = np.int64) -> Any:
        """Draw integers from `low` up to but not including `high`."""
        return _on_device(self._host.integers(low, high, size, dtype))


def _on_device(host: Any) -> Any:
    """Write numbers straight into device memory: on a card a kernel would draw them there, and none be copied."""
    host = np.asarray(host)
    made = cupy.empty(host.shape, host.dtype)
    if host.size:
        _array(made.data.ptr, host.shape, host.dtype)[...] = host
    return made


def _refusal(name: str) -> Any:
    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{name} is compiled device code, which cannot run on the CPU")

    return refused


def replace_precompiled() -> None:
    """Put NumPy in the place of Thrust's sorts and of `cupy.random.default_rng`; make CUB raise."""
    thrust = cupy.cuda.thrust
    thrust.sort, thrust.argsort, thrust.lexsort = _sort, _argsort, _lexsort
    for name in CUB:
        if hasattr(cupy.cuda.cub, name):
            setattr(cupy.cuda.cub, name, _refusal(f"cupy.cuda.cub.{name}"))
    cupy.random.default_rng = cupy.random.Generator = Generator
