"""The CuPy backend of autodiff, for CUDA devices.

Importing this package does not import CuPy. Whether it can run is decided by ``cupy.is_available()``: the
import succeeds on machines without a GPU.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from autodiff.extend import ArgumentTypeError, Backend, hookimpl
from autodiff_cupy.determinism import deterministic

__all__ = ["CupyBackend", "deterministic", "register_backends"]

_KINDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}


class CupyBackend(Backend):
    """Arrays in the memory of a CUDA device."""

    name = "cupy"
    follows_standard = False
    has_streams = True
    on_host = False
    dlpack_kinds = frozenset({2, 13})  # memory of a device, and such as CUDA moves by itself
    install = "pip install cupy-cuda13x (or cupy-cuda12x), and an NVIDIA driver"

    def recognises(self, array_type: type) -> bool:
        cupy = sys.modules.get("cupy")
        return cupy is not None and issubclass(array_type, cupy.ndarray)

    @property
    def xp(self) -> Any:
        import cupy

        return cupy

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("cupy") is None:
            return f"CuPy is not installed. To install it: {self.install}."
        if not self.xp.is_available():
            return (
                "CuPy is installed and finds no usable GPU: no NVIDIA driver, no device, or a driver older than its CUDA "
                "version. `nvidia-smi` tells which; `python -c 'import cupy; cupy.show_config()'` tells what CuPy needs."
            )
        return None

    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        if not isinstance(obj, self.xp.ndarray) and _is_on_cuda(obj):
            obj = self.xp.asarray(obj) if hasattr(obj, "__cuda_array_interface__") else self.xp.from_dlpack(obj)
        if not isinstance(obj, self.xp.ndarray) and not hasattr(obj, "__array_interface__"):
            # Numbers and lists follow the default backend's conversion, then move.
            import numpy as np

            try:
                obj = np.asarray(obj)
            except (TypeError, ValueError, RuntimeError, OverflowError, RecursionError, AttributeError) as exc:
                raise ArgumentTypeError(f"Cannot make an array of a {type(obj).__qualname__}: {exc}") from exc
            if obj.dtype.kind in "iu" and dtype is None:
                obj = obj.astype(np.float64)
        if getattr(obj, "dtype", None) is not None and (obj.dtype.kind not in _KINDS or obj.dtype.char in "gG"):
            raise ArgumentTypeError(f"CuPy has no arrays of dtype {obj.dtype}; expected numbers")
        if device is None and isinstance(obj, self.xp.ndarray):
            with obj.device:  # on the current device it would be a copy there
                return self.xp.asarray(obj, dtype=dtype)
        if device is None:
            return self.xp.asarray(obj, dtype=dtype)
        with self._on(device):
            return self.xp.asarray(obj, dtype=dtype)

    def _on(self, device: str) -> Any:
        if not device.isdigit() or int(device) >= self.xp.cuda.runtime.getDeviceCount():
            count = self.xp.cuda.runtime.getDeviceCount()
            raise ArgumentTypeError(f"The backend 'cupy' has devices 0 to {count - 1}; it was asked for {device!r}")
        return self.xp.cuda.Device(int(device))

    def to_numpy(self, array: Any) -> Any:
        return self.xp.asnumpy(array)

    def device(self, array: Any) -> str:
        return str(array.device.id)

    def to_device(self, array: Any, device: str | None) -> Any:
        if device is None or device == self.device(array):  # "cupy" alone: wherever it is
            return array
        target = self._on(device)
        with array.device:
            if not array.flags.c_contiguous:  # CuPy copies no other between devices
                array = self.xp.array(array, order="C")
        with target:
            return self.xp.asarray(array)

    def _loaded(self) -> bool:
        return "cupy" in sys.modules

    def kernel_for(self, op: Any, array_type: type) -> Callable[..., Any] | None:
        if not self._loaded():
            return None
        from autodiff_cupy import devices, expressions, kernels

        generic = partial(op.function, self.xp) if op.takes_xp else getattr(self.xp, op.name, None)
        if op.id in kernels.FUSED:
            found: Any = partial(kernels.FUSED[op.id], generic)
        else:
            found = kernels.KERNELS.get(op.id) or expressions.forward_kernel(op)
        if devices.count() == 1:
            return found  # type: ignore[no-any-return]  # kernels are Any
        kernel = found or generic
        return None if kernel is None else devices.on_its_device(op, kernel)

    def switch(self) -> Any:
        if not self._loaded() or not self.xp.is_available():
            return None
        from autodiff_cupy import devices

        return devices.Switch() if devices.count() > 1 or devices.streams_matter() else None

    def stream(self, array: Any) -> Any:
        from autodiff_cupy import devices

        return devices.current_stream(array)

    def rule_types(self) -> tuple[type, ...]:
        return (self.xp.ndarray,) if self._loaded() else ()

    def vjp_kernel_for(self, op: Any, array_type: type) -> Any:
        from autodiff_cupy import expressions, kernels

        return kernels.RULES.get(op.id) or expressions.backward_rules(op)

    def kind(self, dtype: Any) -> str:
        return _KINDS.get(dtype.kind, "other")

    def dtype(self, name: Any) -> Any:
        try:
            return self.xp.dtype(name)
        except (TypeError, ValueError, AttributeError, RecursionError) as exc:
            raise ArgumentTypeError(f"{name!r} is no dtype of CuPy: {exc}") from exc

    # CuPy makes new arrays on its current device: here it is that of the array at hand.

    def astype(self, array: Any, dtype: Any) -> Any:
        with array.device:
            return array.astype(dtype)

    def real(self, array: Any) -> Any:
        with array.device:
            return array.real.copy()

    def ones(self, like: Any) -> Any:
        with like.device:
            return self.xp.ones_like(like)

    def fresh(self, array: Any, *, alone: bool = False) -> Any:
        if alone and array.base is None:
            return array
        with array.device:
            return self.xp.array(array, order="C")

    def beside(self, array: Any, like: Any) -> Any:
        return self.to_device(array, self.device(like))

    def add(self, a: Any, b: Any, *, alone: bool = False) -> Any:
        with a.device:
            return a + b

    def synchronize(self) -> None:
        from autodiff_cupy import devices

        for i in range(devices.count()):
            self.xp.cuda.Device(i).synchronize()

    def facts(self) -> dict[str, str]:
        runtime = self.xp.cuda.runtime
        names = [runtime.getDeviceProperties(i) for i in range(runtime.getDeviceCount())]
        devices = ", ".join(f"{p['name'].decode()} (sm_{p['major']}{p['minor']})" for p in names)
        versions = f"CUDA runtime {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}"
        return {"CuPy": f"{self.xp.__version__}, {versions}", "devices": devices}

    def copy_generator(self, generator: Any) -> Any:
        if not self._loaded() or not isinstance(generator, self.xp.random.Generator):
            return None
        twin = copy.copy(generator)
        bits = twin.bit_generator = copy.copy(generator.bit_generator)
        bits.lock = threading.Lock()  # the reason why deepcopy refuses
        with generator.bit_generator.lock, bits._state.device:
            bits._state = bits._state.copy()
        return twin

    def has_nan(self, array: Any) -> bool:
        with array.device:
            return bool(self.xp.isnan(array).any())


def _is_on_cuda(obj: Any) -> bool:
    """Tell whether another library's array lies in the memory of a CUDA device, whence it need not be copied."""
    if hasattr(obj, "__cuda_array_interface__"):
        return True
    return hasattr(obj, "__dlpack_device__") and int(obj.__dlpack_device__()[0]) in CupyBackend.dlpack_kinds


@hookimpl
def register_backends(register: Callable[..., None]) -> None:
    """Register the backend; it loads CuPy when it is first used."""
    register(CupyBackend())
