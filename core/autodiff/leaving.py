"""How the numbers of a `Value` leave the graph: as Python's numbers, as NumPy arrays, and without a copy.

A gradient is never lost in silence: where one flows, and recording is not off, only `item`, `tolist` and `numpy`
hand out numbers, since they say so by their names.
"""

from __future__ import annotations

from math import prod
from typing import Any

from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError
from autodiff.modes import NO_GRAD, RULE, mode
from autodiff.operators import Operators
from autodiff.registry import registry
from autodiff.replacing import boxed, refuse_leaving

__all__ = ["Leaving", "refuse_losing"]


_OTHERWISE = (
    "Say that you want that: value.data, value.item(), value.detach(), or no_grad(). autodiff.numpy.array([v, w]) "
    "joins Values."
)


def refuse_losing(value: Any, what: str, otherwise: str = _OTHERWISE) -> None:
    """Refuse to hand out numbers of a Value to those who know no gradient; say what to do otherwise.

    Raises
    ------
    GradientTypeError
        `value` needs a gradient, and recording is on.
    """
    if value._edge is not None and not mode() & NO_GRAD:
        raise GradientTypeError(f"{what} would drop the gradient of this Value in silence. {otherwise}")


class Leaving(Operators):
    """What hands out the numbers of a `Value`."""

    __slots__ = ()

    def _backend(self) -> Any:
        return registry.backend_of(type(self._array))

    def item(self) -> Any:
        """Return the single element as a Python number.

        Raises
        ------
        ArgumentError
            There is not exactly one.
        """
        if prod(self._array.shape) != 1:
            raise ArgumentError(f"Value.item() needs exactly one element; the shape is {self._array.shape}.")
        if mode() & RULE:
            refuse_leaving(self, "item()")
        return self._backend().to_numpy(self._array).item()

    def tolist(self) -> Any:
        """Return the data as Python's numbers, in lists nested as the dimensions are."""
        if mode() & RULE:
            refuse_leaving(self, "tolist()")
        return self._backend().to_numpy(self._array).tolist()

    def numpy(self) -> Any:
        """Copy the data to a NumPy array in host memory."""
        if mode() & RULE:
            refuse_leaving(self, "numpy()")
        return self._backend().to_numpy(self._array)

    # ---- Python's and NumPy's conversions: copies -----------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        refuse_losing(self, "numpy.asarray(value)")
        if copy is False:
            raise ArgumentError("numpy.asarray(value) copies; numpy.from_dlpack(value) and value.data do not.")
        own = self._backend()
        if not own.on_host:
            raise ArgumentTypeError(
                f"numpy.asarray(value), or a function that knows no Values, would copy this one from the device "
                f"{own.name}:{own.device(self._array)} to the host in silence. Use autodiff.ops or autodiff.numpy, pass "
                f"value.data, or copy it by value.numpy()."
            )
        array = own.to_numpy(self._array)
        return array if dtype is None else array.astype(dtype)

    # fmt: off
    def __float__(self) -> float: return float(self._number("float(value)"))
    def __int__(self) -> int: return int(self._number("int(value)"))
    def __complex__(self) -> complex: return complex(self._number("complex(value)"))
    # fmt: on

    def _number(self, what: str) -> Any:
        if prod(self._array.shape) != 1:
            raise ArgumentTypeError(f"{what} needs exactly one element; the shape is {self._array.shape}.")
        refuse_losing(self, what)
        return self._backend().to_numpy(self._array).item()

    def __index__(self) -> int:
        array = self._array
        if self._edge is not None or registry.kind(array.dtype, self._backend()) != "int" or array.shape != ():
            raise ArgumentTypeError(
                f"Only an integer Value of shape () works as an index; this one has dtype {array.dtype} "
                f"and shape {array.shape}."
            )
        return int(self.item())

    def __bool__(self) -> bool:
        if prod(self._array.shape) != 1:
            raise ArgumentError(
                f"The truth of a Value of shape {self._array.shape} is ambiguous; use (v != 0).any() or .all() of its data."
            )
        return bool(self._backend().to_numpy(self._array).item())

    # ---- to other libraries, without a copy -----------------------------------------------------------------

    # There is no __cuda_array_interface__, which value.data has: where an operand has it, CuPy takes that for its own
    # ufuncs, and `array * value` would be an array without a gradient.

    def __dlpack__(self, **options: Any) -> Any:
        """Share the array by DLPack.

        Raises
        ------
        GradientTypeError
            This Value needs a gradient, and recording is on: hand out ``value.detach()``.

        Examples
        --------
        >>> import numpy as np
        >>> from autodiff import Value
        >>> v = Value([1.0, 2.0], requires_grad=False)
        >>> np.from_dlpack(v)  # or torch.from_dlpack(v)
        array([1., 2.])
        """
        refuse_losing(self, "DLPack")
        self._array = boxed(self._array)  # kept, so that writing into it is seen
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return boxed(self._array).__dlpack_device__()
