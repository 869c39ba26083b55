"""A second backend for tests, over array_api_strict: it forbids whatever the array API standard does not promise.

It needs neither CuPy nor a GPU, shares no type with NumPy and refuses to mix with it, so that a core that
quietly relies on NumPy fails here.
"""

from __future__ import annotations

from typing import Any

import array_api_strict as strict
import numpy as np

from autodiff.extend import ArgumentTypeError, Backend

__all__ = ["Array", "StrictBackend", "strict_array"]

Array = type(strict.asarray(0.0))


class StrictBackend(Backend):
    """Arrays of array_api_strict, with the generic kernels and rules alone."""

    name = "strict"

    def recognises(self, array_type: type) -> bool:
        return issubclass(array_type, Array)

    @property
    def xp(self) -> Any:
        return strict

    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        wanted = None if dtype is None else self.dtype(dtype)
        try:
            if isinstance(obj, Array):
                return obj if wanted in (None, obj.dtype) else strict.astype(obj, wanted)
            host = np.asarray(obj)
            if isinstance(obj, int | float | list | tuple) and host.dtype.kind in "iu":
                host = host.astype(np.float64)
            return strict.asarray(host, dtype=wanted)
        except (TypeError, ValueError) as exc:
            raise ArgumentTypeError(f"Cannot make a strict array of {obj!r:.60}: {exc}") from exc

    def to_numpy(self, array: Any) -> Any:
        return np.array(array._array)


def strict_array(obj: Any) -> Any:
    """Return a strict array of a NumPy array or nested list."""
    return strict.asarray(np.asarray(obj))
