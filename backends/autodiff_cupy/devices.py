"""Several CUDA devices: kernels run where their arrays are, and passes follow.

CuPy computes on its current device, and refuses arrays of another or copies them. Streams are CuPy's own: a pass
runs on the stream that is current where it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import cupy

from autodiff.extend import BackendMismatchError

__all__ = ["Switch", "count", "on_its_device"]


@cache
def count() -> int:
    """Return the number of devices."""
    return int(cupy.cuda.runtime.getDeviceCount())


def on_its_device(op: Any, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel that runs where its arrays are.

    Raises
    ------
    BackendMismatchError
        They are on two devices: nothing is transferred in silence.
    """

    @wraps(kernel, assigned=(), updated=())
    def run(*xs: Any, **attrs: Any) -> Any:
        places = {i: x.device.id for i, x in enumerate(xs) if isinstance(x, cupy.ndarray)}
        if not places:
            return kernel(*xs, **attrs)
        first, place = next(iter(places.items()))
        for i, other in places.items():
            if other != place:
                raise BackendMismatchError(
                    f"{op.id!r}: argument {first} is on 'cupy:{place}' and argument {i} on 'cupy:{other}'; nothing is "
                    f"transferred in silence. Move one of them: .to('cupy:{place}') or .to('cupy:{other}')."
                )
        with cupy.cuda.Device(place):
            return kernel(*xs, **attrs)

    return run


class Switch:
    """Makes the device of an array the current one, until `restore`."""

    def __init__(self) -> None:
        self._start = self._current = cupy.cuda.runtime.getDevice()

    def __call__(self, array: Any) -> None:
        if isinstance(array, cupy.ndarray) and array.device.id != self._current:
            self._current = array.device.id
            cupy.cuda.Device(self._current).use()

    def restore(self) -> None:
        """Go back to the device that was current at the start."""
        if self._current != self._start:
            cupy.cuda.Device(self._start).use()
