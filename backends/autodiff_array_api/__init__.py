"""`ArrayAPIBackend`: the base of a backend for any library that follows the Python array API standard.

It needs ``array-api-compat``, which brings the libraries that nearly follow the standard in line with it. What the
standard cannot say, reading and writing by arrays of indices, is in `indexing`. ``docs/writing-a-backend.md`` makes a
backend with it.

This package brings no backend of its own: it has no entry point.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

import numpy as np

from autodiff.extend import ArgumentTypeError, Backend, BackendMismatchError
from autodiff_array_api.indexing import FUNCTIONAL, KERNELS

__all__ = ["ArrayAPIBackend"]

#: The functions of the standard that make arrays of nothing, hence on the device that they are told.
_CREATION = ("arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros")
#: Ops whose functions are not in the standard, nor promised to take a number beside an array: PyTorch's do not.
_OF_ARRAYS = frozenset({"autodiff_ops.fmod", "autodiff_ops.heaviside", "autodiff_ops.logaddexp2"})


class ArrayAPIBackend(Backend):
    """A backend made of an array library's standard functions.

    A subclass sets `name`, `library` and `arrays`, and no more unless its library asks for it.

    Attributes
    ----------
    library : str
        The module to import, ``"torch"``; what ``array_api_compat`` has for it is taken in its place.
    arrays : tuple of str
        Full names of the classes of arrays, ``("torch.Tensor",)``: a name in a module that the library has loaded.
    home : str or None
        The device of arrays that are made of numbers and lists; None is the library's own choice.
    host
        The device in host memory, as the library takes it.
    writable : bool
        Whether its arrays can be written to; JAX's cannot.

    Examples
    --------
    >>> from autodiff_array_api import ArrayAPIBackend
    >>> class TorchBackend(ArrayAPIBackend):
    ...     name = "torch"
    ...     library = "torch"
    ...     arrays = ("torch.Tensor",)
    ...     install = "pip install torch array-api-compat"
    """

    library: str
    arrays: tuple[str, ...]
    home: str | None = None
    host: Any = "cpu"
    follows_standard = False  # in reading and writing by index it goes beyond

    def __init__(self) -> None:
        # The device on which kernels and rules are running, if it is not `home`.
        self._current: ContextVar[Any] = ContextVar(f"{self.name}_device", default=None)
        self._xp: Any = None

    # ---- the library ----------------------------------------------------------------------------------------

    def unavailable(self) -> str | None:
        hint = f" To install it: {self.install}." if self.install else ""
        for needed in (self.library.partition(".")[0], "array_api_compat"):
            if importlib.util.find_spec(needed) is None:
                return f"the package {needed!r} is not installed.{hint}"
        return None

    @property
    def xp(self) -> Any:
        if self._xp is None:
            self._xp = _Namespace(_standard(self.library), self)
        return self._xp

    def recognises(self, array_type: type) -> bool:
        return any(issubclass(array_type, known) for known in self._array_types())

    def _array_types(self) -> Iterable[type]:
        """Yield the classes of arrays, if the library is loaded."""
        for name in self.arrays:
            module, _, cls = name.rpartition(".")
            if module in sys.modules:
                found = getattr(sys.modules[module], cls, None)
                if found is None:
                    raise ArgumentTypeError(
                        f"The backend {self.name!r} has the class {name!r} among its arrays, and {module!r} has no {cls!r}"
                    )
                yield found

    # ---- devices --------------------------------------------------------------------------------------------

    def device_named(self, name: str) -> Any:
        """Return the library's device that is written so, or the name itself, which most libraries take."""
        told = getattr(self.xp, "__array_namespace_info__", None)
        devices = told().devices() if told is not None else ()
        return next((device for device in devices if str(device) == name), name)

    def device(self, array: Any) -> str:
        return str(array.device)

    def to_device(self, array: Any, device: str | None) -> Any:
        if device is None or device == self.device(array):
            return array
        from array_api_compat import to_device

        with self._asking_for(device):
            return to_device(array, self.device_named(device))

    @contextmanager
    def _asking_for(self, device: str) -> Iterator[None]:
        try:
            yield
        except (TypeError, ValueError, RuntimeError) as exc:
            raise ArgumentTypeError(f"The backend {self.name!r} has no device {device!r}: {exc}") from exc

    def beside(self, array: Any, like: Any) -> Any:
        return self.to_device(array, self.device(like))

    def placed(self) -> dict[str, Any]:
        """Return the keyword ``device`` for a function that makes an array now; nothing if the library chooses."""
        device = self._current.get()
        if device is None and self.home is not None:
            device = self.device_named(self.home)
        return {} if device is None else {"device": device}

    def switch(self) -> Any:
        return _Switch(self) if self._xp is not None else None

    # ---- kernels --------------------------------------------------------------------------------------------

    def kernel_for(self, op: Any, array_type: type) -> Callable[..., Any] | None:
        kernel: Any = None
        own: Any = KERNELS.get(op.id) or (None if self.writable else FUNCTIONAL.get(op.id))
        if own is not None:
            kernel = partial(own, self)
        elif op.takes_xp:
            kernel = partial(op.function, self.xp)
            if op.id in _OF_ARRAYS:
                kernel = partial(self._of_arrays, kernel)
        else:
            kernel = getattr(self.xp, op.name, None)
        return None if kernel is None else self._on_its_device(op, kernel)

    def _of_arrays(self, kernel: Callable[..., Any], x1: Any, x2: Any) -> Any:
        dtype = self.xp.result_type(x1, x2)
        return kernel(*[x if self.recognises(type(x)) else self.xp.asarray(x, dtype=dtype) for x in (x1, x2)])

    def _on_its_device(self, op: Any, kernel: Callable[..., Any]) -> Callable[..., Any]:
        """Return a kernel that runs where its arrays are, and refuses to mix devices."""

        @wraps(kernel, assigned=(), updated=())
        def run(*xs: Any, **attrs: Any) -> Any:
            devices = {self.device(x): x.device for x in xs if self.recognises(type(x))}
            if len(devices) > 1:
                first, second, *_ = (f"{self.name}:{name}" for name in devices)
                raise BackendMismatchError(
                    f"{op.id!r}: its arguments are on {first!r} and {second!r}; nothing is transferred in silence. Move "
                    f"one of them: .to({first!r}) or .to({second!r})."
                )
            if not devices:
                return kernel(*xs, **attrs)
            token = self._current.set(next(iter(devices.values())))
            try:
                return kernel(*xs, **attrs)
            finally:
                self._current.reset(token)

        return run

    # ---- arrays ---------------------------------------------------------------------------------------------

    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        wanted = None if dtype is None else self.dtype(dtype)
        if self.recognises(type(obj)):
            array = obj if wanted in (None, obj.dtype) else self.xp.astype(obj, wanted)
            return self.to_device(array, device)
        where = self.placed()
        if device is not None:
            with self._asking_for(device):
                where = {"device": self.device_named(device)}
        try:
            host = np.asarray(obj)
            if isinstance(obj, int | float | list | tuple) and host.dtype.kind in "iu":
                host = host.astype(np.float64)  # numbers and lists, integers too, mean the reals
            # A copy: libraries share the memory, and some refuse what cannot be written to, or has negative strides.
            return self.xp.asarray(np.array(host, order="C"), dtype=wanted, **where)
        except (TypeError, ValueError, RuntimeError) as exc:
            raise ArgumentTypeError(f"Cannot make an array of the backend {self.name!r} of {obj!r:.60}: {exc}") from exc

    def to_numpy(self, array: Any) -> Any:
        try:
            # In two steps: PyTorch's tensors do not know the keyword that NumPy asks for a copy by.
            return np.array(np.asarray(array))
        except (TypeError, RuntimeError):  # it is on another device than the host
            from array_api_compat import to_device

            return np.array(to_device(array, self.host))


class _Namespace:
    """A library's functions, of which those that make arrays make them on the backend's current device."""

    def __init__(self, library: Any, backend: ArrayAPIBackend) -> None:
        self._library = library
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        if name in _CREATION:
            found = self._placed(found)
        setattr(self, name, found)
        return found

    def _placed(self, make: Callable[..., Any]) -> Callable[..., Any]:
        backend = self._backend

        @wraps(make)
        def made(*args: Any, **kwargs: Any) -> Any:
            if "device" not in kwargs and not (args and backend.recognises(type(args[0]))):
                kwargs.update(backend.placed())
            return make(*args, **kwargs)

        return made


class _Switch:
    """Makes the device of an array the backend's current one, while a pass runs."""

    def __init__(self, backend: ArrayAPIBackend) -> None:
        self._backend = backend

    def __call__(self, array: Any, stream: Any, *, keep: bool) -> None:
        if self._backend.recognises(type(array)):
            self._backend._current.set(array.device)

    def restore(self) -> None:
        """Do nothing: the pass ran in a copy of the context, where the device was set."""


def _standard(library: str) -> Any:
    """Return what array_api_compat has for a library, or the library itself."""
    try:
        return importlib.import_module(f"array_api_compat.{library}")
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("array_api_compat."):
            raise
    return importlib.import_module(library)
