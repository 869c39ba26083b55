"""What the wheel has as compiled device code, which no stand-in can run: replaced by NumPy, or refused.

Such modules have NVIDIA's runtime inside; beside a stand-in driver they fail without a word.
"""

from __future__ import annotations

import ctypes
from typing import Any, NoReturn

import cupy
import cupy.cuda.cub
import cupy.cuda.thrust
import cupy.fft
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


#: There is no cuFFT either.
TRANSFORMS = tuple(f"{kind}fft{n}" for kind in ("", "i", "r", "ir") for n in ("", "2", "n"))


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


class Draws:
    """Methods for `cupy.random.Generator`: the numbers are NumPy's, the state is in device memory as on a card.

    Of the state the first two words are used, a seed and the number of draws so far.
    """

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Draw uniformly from 0 to 1."""
        return _on_device(_host(self).random(size, dtype), out)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None, dtype: Any = np.float64) -> Any:
        """Draw uniformly from `low` to `high`."""
        return _on_device(_host(self).uniform(low, high, size).astype(dtype))

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Draw from the normal distribution."""
        return _on_device(_host(self).standard_normal(size, dtype), out)

    def integers(
        self, low: int, high: int | None = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> Any:
        """Draw integers from `low` up to but not including `high`."""
        return _on_device(_host(self).integers(low, high, size, dtype, endpoint))


def _initialise(kind: int, state: int, seed: int, size: int) -> None:
    _array(state, (2,), np.uint64)[...] = seed, 0


def _host(generator: Any) -> np.random.Generator:
    """Return a generator for one draw, and count the draw."""
    state = _array(generator.bit_generator.state(), (2,), np.uint64)
    seed, draws = map(int, state)
    state[1] += 1
    return np.random.Generator(np.random.Philox(key=seed, counter=draws << 192))


def _on_device(host: Any, out: Any = None) -> Any:
    """Write numbers straight into device memory: on a card a kernel would draw them there, and none be copied."""
    host = np.asarray(host)
    made = cupy.empty(host.shape, host.dtype)
    if host.size:
        _array(made.data.ptr, host.shape, host.dtype)[...] = host
    if out is None:
        return made
    out[...] = made
    return out


def _transform(name: str) -> Any:
    """Return NumPy's function in the place of one of `cupy.fft`, on the memory of the device."""

    def run(a: Any, *args: Any, **kwargs: Any) -> Any:
        a = cupy.ascontiguousarray(a)
        return _on_device(getattr(np.fft, name)(_array(a.data.ptr, a.shape, a.dtype), *args, **kwargs))

    return run


def _refusal(name: str) -> Any:
    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{name} is compiled device code, which cannot run on the CPU")

    return refused


def replace_precompiled() -> None:
    """Put NumPy in the place of Thrust's sorts, of cuFFT and of the numbers of `cupy.random.default_rng`; make CUB raise."""
    thrust = cupy.cuda.thrust
    thrust.sort, thrust.argsort, thrust.lexsort = _sort, _argsort, _lexsort
    for name in CUB:
        if hasattr(cupy.cuda.cub, name):
            setattr(cupy.cuda.cub, name, _refusal(f"cupy.cuda.cub.{name}"))
    for name in TRANSFORMS:
        setattr(cupy.fft, name, _transform(name))
    cupy.random._generator_api.init_curand = _initialise
    for name in [n for n in dir(cupy.random.Generator) if not n.startswith("_")]:
        method = getattr(Draws, name, None) or _refusal(f"cupy.random.Generator.{name}")
        setattr(cupy.random.Generator, name, method)
