"""Several CUDA devices and streams: kernels run where their arrays are, and passes where the forward pass ran.

CuPy computes on its current device, and refuses arrays of another or copies them; it queues work on the stream that
is current on that device.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import cupy

from autodiff.extend import BackendMismatchError

__all__ = ["Switch", "count", "current_stream", "on_its_device", "streams_matter"]


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


def current_stream(array: Any) -> Any:
    """Return the stream that is current on the device of `array`; None if it is the default one."""
    stream = cupy.cuda.get_current_stream(array.device.id)
    if stream.ptr in _DEFAULT:
        return None
    _streams_are_used.set()
    return stream


#: The handles of the default stream, and of the default stream of each thread.
_DEFAULT = (cupy.cuda.Stream.null.ptr, cupy.cuda.Stream.ptds.ptr)
_streams_are_used = threading.Event()


def streams_matter() -> bool:
    """Tell whether a pass has streams to follow: some node remembers one, or the caller has one."""
    return _streams_are_used.is_set() or cupy.cuda.get_current_stream().ptr not in _DEFAULT


class Switch:
    """Makes the device of an array and the stream of a node the current ones, until `restore`.

    On each change the next stream waits for what the last one was told to do, so that the pass runs in its own order,
    whichever streams it is on. That is also what keeps memory safe: CuPy's pool hands out again what was freed to
    whoever works on the same stream, and does not know who else still reads it.
    """

    def __init__(self) -> None:
        self._start = self._device = cupy.cuda.runtime.getDevice()
        self._streams = {self._start: cupy.cuda.get_current_stream()}  # at the start, of each device that was visited

    def __call__(self, array: Any, stream: Any, *, keep: bool) -> None:
        if not isinstance(array, cupy.ndarray):
            return
        device = array.device.id
        if device not in self._streams:
            self._streams[device] = cupy.cuda.get_current_stream(device)
        if keep:
            stream = cupy.cuda.get_current_stream(device)
        self._go(device, stream or _default_stream())

    def restore(self) -> None:
        """Go back to the device and the streams that were current at the start."""
        self._go(self._start, self._streams[self._start])
        for device, stream in self._streams.items():
            if cupy.cuda.get_current_stream(device) != stream:
                with cupy.cuda.Device(device):
                    stream.use()

    def _go(self, device: int, stream: Any) -> None:
        before = cupy.cuda.get_current_stream()
        if device == self._device and stream == before:
            return
        done = before.record(cupy.cuda.Event(disable_timing=True))
        if device != self._device:
            cupy.cuda.Device(device).use()
            self._device = device
        stream.use()
        stream.wait_event(done)


def _default_stream() -> Any:
    per_thread = os.environ.get("CUPY_CUDA_PER_THREAD_DEFAULT_STREAM", "0") != "0"
    return cupy.cuda.Stream.ptds if per_thread else cupy.cuda.Stream.null
