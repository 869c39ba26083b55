"""A second backend for tests, over array_api_strict: it forbids whatever the array API standard does not promise.

Its arrays live on ``device1``, which array_api_strict keeps apart from the host: it shares no type with NumPy, refuses
to mix with it, and converts to it only on request. It needs neither CuPy nor a GPU.
"""

from __future__ import annotations

from typing import Any

import array_api_strict as strict
import numpy as np

from autodiff_array_api import ArrayAPIBackend

__all__ = ["DEVICE", "Array", "StrictBackend", "strict_array"]

Array = type(strict.asarray(0.0))
DEVICE = strict.Device("device1")


class StrictBackend(ArrayAPIBackend):
    """Arrays of array_api_strict, with the generic kernels and rules alone."""

    name = "strict"
    library = "array_api_strict"
    arrays = ("array_api_strict._array_object.Array",)
    home = "device1"
    on_host = False
    host = strict.Device("CPU_DEVICE")

    def device(self, array: Any) -> str:
        return str(array.device).split("'")[1]

    def device_named(self, name: str) -> Any:
        return strict.Device(name)


def strict_array(obj: Any) -> Any:
    """Return a strict array of a NumPy array or nested list."""
    return strict.asarray(np.asarray(obj), device=DEVICE)
