"""The interface of a backend: how the core talks to one array library.

A backend is one small package with one final subclass of `Backend`, registered through the hook
``register_backends``. The methods that have a body here serve any library that follows the Python array
API standard; a backend overrides what its library does better.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from autodiff.errors import ArgumentTypeError, BackendUnavailableError
from autodiff.samples import Unsupported

__all__ = ["Backend"]

_KINDS = {
    "bool": "bool",
    "integral": "int",
    "real floating": "float",
    "complex floating": "complex",
}


class Backend(ABC):
    """One array library: how to recognise its arrays, its namespace, and what it does better.

    Importing a backend's package must not import its library: the library is loaded by `xp`.
    """

    #: How users name it: ``Value(x, backend=name)``.
    name: str
    #: What to install so that it runs.
    install: str = ""
    #: Whether every generic kernel runs on `xp` as it is. Where the library lacks keywords of the array API
    #: standard, the backend has kernels of its own for the ops that need them.
    follows_standard: bool = True
    #: What is known not to work on it, for the conformance kit: `Unsupported` with the id of an `op` each, or
    #: without for all.
    unsupported: tuple[Unsupported, ...] = ()
    #: Whether arrays can be written to; where not, nobody can spoil a gradient.
    writable: bool = True
    #: Whether `add`, `multiply` and rules write into arrays that nobody else has; these have a ``size`` then.
    reuses: bool = False
    #: Whether work is queued on streams, of which nodes are to remember theirs.
    has_streams: bool = False
    #: Kinds of devices whose memory it can share by DLPack, by the numbers of that protocol: 1 is the host, 2 CUDA.
    dlpack_kinds: frozenset[int] = frozenset()
    #: Whether the arrays lie in host memory, where NumPy may read them without being told to.
    on_host: bool = True
    #: Types of immutable 0-d results that the library returns in place of arrays (NumPy's scalars).
    #: They may stay inside graphs; the user is always handed the 0-d array that `box` makes of them.
    scalar_types: tuple[type, ...] = ()
    #: The backend of the arrays that those of this one stand for, as batches and tracers do: their arrays meet, and
    #: every op asks `kernel_for`, whatever other kernels there are.
    base: Backend | None = None

    @abstractmethod
    def recognises(self, array_type: type) -> bool:
        """Tell whether arrays of this type are this backend's, without importing the library."""

    @property
    @abstractmethod
    def xp(self) -> Any:
        """The library's array namespace, imported when first asked for."""

    @abstractmethod
    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        """Make an array of numbers, nested lists, a NumPy array or an array of this library.

        Without `dtype` an array keeps its own, and no copy is made where none is needed.

        Raises
        ------
        ArgumentTypeError
            What `obj` holds are not numbers: text, objects, rows of different lengths.
        """

    @abstractmethod
    def to_numpy(self, array: Any) -> Any:
        """Copy to a NumPy array in host memory."""

    def unavailable(self) -> str | None:
        """Say why the backend cannot run here and what to do, or None if it can."""
        return None

    def require(self) -> Backend:
        """Return this backend, or raise `BackendUnavailableError` with the reason."""
        reason = self.unavailable()
        if reason is not None:
            raise BackendUnavailableError(f"The backend {self.name!r} cannot run here: {reason}")
        return self

    def device(self, array: Any) -> str:
        """Name the device where `array` lives, in the form that `to_device` takes."""
        return str(getattr(array, "device", "cpu"))

    def from_dlpack(self, obj: Any, *, copy: bool | None = None) -> Any:
        """Return an array in the memory of another library's, which has ``__dlpack__``; ``copy=False`` forbids a copy."""
        return self.xp.from_dlpack(obj, copy=copy)

    def to_device(self, array: Any, device: str | None) -> Any:
        """Return `array` on `device` of this backend; None is the default device.

        Raises
        ------
        ArgumentTypeError
            The library has no such device.
        """
        if device is None or device == self.device(array):
            return array
        try:
            return self.xp.asarray(array, device=device, copy=True)
        except (TypeError, ValueError) as exc:
            raise ArgumentTypeError(f"The backend {self.name!r} has no device {device!r}: {exc}") from exc

    def switch(self) -> Any:
        """Return what a pass follows devices and streams with, or None where there is nothing to switch.

        Called as ``switch(array, stream, keep=False)`` with any array, it makes the device of one of this backend the
        library's current one, and `stream`, which is what `stream` returned, the current stream there; with `keep`
        the stream stays. What was queued before is waited for by the device. ``restore()`` goes back to the device
        and the streams that were current at the start.
        """
        return None

    def stream(self, array: Any) -> Any:
        """Return the stream that is current where `array` is, None if it is the default one."""
        return None

    def beside(self, array: Any, like: Any) -> Any:
        """Return `array`, which was made on the current device, where `like` is."""
        return array

    def add(self, a: Any, b: Any, *, alone: bool = False) -> Any:
        """Return ``a + b`` of two arrays on one device, which need not be the current one.

        `alone` says, as for `fresh`, that the caller holds the only reference to `a`: unless that is a view of
        another array, the sum may be written into it.
        """
        return a + b

    def multiply(self, a: Any, b: Any, *, out: Any = None) -> Any:
        """Return ``a * b``, of which either may be a number: a cotangent times a partial derivative.

        `out` is None, or one of the two, to which nobody else refers: unless that is a view of another array, or has
        another shape or dtype than the product, the product may be written into it.
        """
        return a * b

    def add_product(self, total: Any, a: Any, b: Any) -> Any:
        """Return ``total + a * b`` of three arrays of one shape and dtype, rounded as the two steps are.

        The caller holds the only reference to `total`: unless that is a view of another array, the sum may be written
        into it.
        """
        return self.add(total, self.multiply(a, b), alone=True)

    def kernel_for(self, op: Any, array_type: type) -> Callable[..., Any] | None:
        """Return this backend's own kernel of `op` for arrays of `array_type`, or None to use the generic one."""
        return None

    def rule_types(self) -> tuple[type, ...]:
        """Return the types of arrays for which `vjp_kernel_for` may have something; no library is imported for it."""
        return self.scalar_types

    def vjp_kernel_for(self, op: Any, array_type: type) -> Any:
        """Return faster rules of `op` for passes that are not recorded, one for each input, or None."""
        return None

    def testing(self) -> AbstractContextManager[Any]:
        """Return a context in which small arrays are treated as large ones are.

        For a backend whose kernels and rules depend on the size of arrays: the conformance kit enters it, since its
        samples are small, and compares what runs there (`check_large`). Other threads may see it too, and nothing may
        depend on it but speed.
        """
        return nullcontext()

    def kind(self, dtype: Any) -> str:
        """Classify a dtype: ``"bool"``, ``"int"``, ``"float"``, ``"complex"`` or ``"other"``."""
        isdtype = self.xp.isdtype
        return next((ours for theirs, ours in _KINDS.items() if isdtype(dtype, theirs)), "other")

    def dtype(self, name: Any) -> Any:
        """Return the library's dtype for a name or dtype.

        Raises
        ------
        ArgumentTypeError
            The library has no such dtype.
        """
        if not isinstance(name, str):
            return name
        found = getattr(self.xp, name, None)
        if found is None:
            raise ArgumentTypeError(f"The backend {self.name!r} has no dtype {name!r}")
        return found

    def astype(self, array: Any, dtype: Any) -> Any:
        """Convert `array` to `dtype`."""
        return self.xp.astype(array, dtype)

    def real(self, array: Any) -> Any:
        """Return the real part of a complex array."""
        return self.xp.real(array)

    def ones(self, like: Any) -> Any:
        """Return ones of the shape, dtype and device of `like`."""
        return self.xp.ones_like(like)

    def zeros(self, shape: tuple[int, ...], dtype: Any, array_type: type) -> Any:
        """Return zeros; `array_type` is the type of the array that they stand for."""
        return self.xp.zeros(shape, dtype=dtype)

    def box(self, scalar: Any) -> Any:
        """Return the 0-d array of one of the `scalar_types`."""
        return self.xp.asarray(scalar)

    def unbox(self, array: Any) -> Any:
        """Return a 0-d array as one of the `scalar_types`, if the backend has any."""
        return array

    def read_only(self, array: Any) -> Any:
        """Return `array` so that it cannot be written to, if the library knows such arrays; without a copy."""
        return array

    def fresh(self, array: Any, *, alone: bool = False) -> Any:
        """Return an array that nobody else can reach or change: `array` itself if that is certain, else a copy.

        `alone` says that the caller holds the only reference to `array`; it may still be a view of another.
        """
        return self.xp.asarray(array, copy=True)

    def same_shape(self, a: Any, b: Any) -> bool:
        """Tell whether two shapes agree; a lazy library may not know a size yet."""
        return bool(a == b)

    def fingerprint(self, array: Any) -> Any:
        """Return something that changes when the array's content does (debug mode)."""
        return self.to_numpy(array).tobytes()

    def has_nan(self, array: Any) -> bool:
        """Tell whether any element is NaN (debug mode)."""
        return bool(self.xp.any(self.xp.isnan(array)))

    def copy_generator(self, generator: Any) -> Any:
        """Return a random generator in the state of `generator`, for `checkpoint` to draw the same numbers again.

        None says that it is none of this library's, or that ``copy.deepcopy`` does it.
        """
        return None

    def facts(self) -> dict[str, str]:
        """Return what a report says of this backend where it runs: versions, devices."""
        return {self.name: str(getattr(self.xp, "__version__", "unknown version"))}

    def silence(self) -> None:  # noqa: B027  # most libraries warn of nothing: they need no override
        """Silence floating-point warnings in the current context, where rules run.

        An infinite derivative is a result, and no accident that one should be warned of.
        """

    def synchronize(self) -> None:  # noqa: B027  # most libraries have finished when a call returns
        """Wait until whatever was asked of the devices is done, so that a clock may be read."""

    def format(self, array: Any) -> str:
        """Format `array` for `repr`, large ones shortened."""
        return str(array)
