"""NumPy's ``r_`` and ``c_``: what stands in square brackets is joined."""

from __future__ import annotations

from typing import Any

from autodiff.composed import shape_of, shipped
from autodiff.creation import asarray, creator
from autodiff.errors import ArgumentError, ArgumentTypeError, shown
from autodiff.registry import registry
from autodiff.standard import standard
from autodiff.value import unwrap

__all__ = ["FUNCTIONS", "Concatenator"]


class Concatenator:
    """Joins numbers, ranges and arrays, as NumPy's object of the same name.

    A text at the front says along which axis, of how many dimensions each is made, and where the axis of a vector
    goes: ``r_["-1,2,0", v, w]`` makes vectors the columns of a matrix, as ``c_[v, w]`` does.

    Parameters
    ----------
    name : str
        What it is called, for errors.
    axis, ndim, place : int
        What holds without such a text.
    """

    def __init__(self, name: str, axis: int = 0, ndim: int = 1, place: int = -1) -> None:
        self._name, self._options = name, (axis, ndim, place)
        self.__module__ = "autodiff.numpy"  # where it is found, and hence pickled

    def __reduce__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<autodiff.numpy.{self._name}>"

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> Any:
        items = list(key) if isinstance(key, tuple) else [key]
        axis, ndim, place = self._options
        if items and isinstance(items[0], str):
            axis, ndim, place = self._read(items.pop(0))
        if not items:
            raise ArgumentError(f"{self._name}[...] joins numbers, ranges and arrays; it was given none")
        made = [self._array(item) for item in items]
        arrays = [a for a, item in zip(made, items, strict=True) if hasattr(item, "dtype")]
        if arrays:  # Python's numbers are weak beside them
            highest = unwrap(max(arrays, key=_kind))
            own: Any = registry.backend_of(type(highest))
            zero = own.zeros((), highest.dtype, type(highest))
            weak = [type(item) in (bool, int, float, complex) for item in items]
            made = [standard.add(zero, item) if w else a for a, item, w in zip(made, items, weak, strict=True)]
        return shipped("concat")(*[_placed(a, ndim, place) for a in made], axis=axis)

    def _read(self, text: str) -> tuple[int, int, int]:
        """Read ``"axis"``, ``"axis,ndim"`` or ``"axis,ndim,place"``."""
        parts = text.split(",")
        try:
            given = [int(part) for part in parts]
        except ValueError:
            given = []
        if not 1 <= len(given) <= 3:
            raise ArgumentError(
                f"{self._name}[{text!r}, ...]: a text is 'axis', 'axis,ndim' or 'axis,ndim,place', such as '0,2'; "
                f"there are no matrices of NumPy's own class"
            )
        axis, ndim, place = (*given, *self._options[len(given) :])
        return axis, ndim, place

    def _array(self, item: Any) -> Any:
        if isinstance(item, slice):
            start = 0 if item.start is None else item.start
            step = 1 if item.step is None else item.step
            if isinstance(step, complex):
                return creator("linspace")(start, item.stop, int(abs(step)))
            return creator("arange")(start, item.stop, step)
        if isinstance(item, str):
            raise ArgumentTypeError(f"{self._name}[...]: a text comes first; {shown(item)} is not at the front")
        return asarray(item)


_KINDS = ("bool", "int", "float", "complex")


def _kind(a: Any) -> int:
    return _KINDS.index(registry.kind(a.dtype, registry.asarray(unwrap(a))[1]))


def _placed(a: Any, ndim: int, place: int) -> Any:
    """Give `a` so many dimensions, its own from `place` on, or at the end for -1."""
    missing = ndim - len(shape_of(a))
    if missing <= 0:
        return a
    at = place if place >= 0 else place + missing + 1
    if not 0 <= at <= missing:
        raise ArgumentError(
            f"r_['axis,{ndim},{place}', ...]: shape {shape_of(a)} gets {missing} more axes; its own cannot start at {place}"
        )
    shape = shape_of(a)
    return standard.reshape(a, shape=(*(1,) * at, *shape, *(1,) * (missing - at)))


#: By NumPy's name.
FUNCTIONS: dict[str, Any] = {
    "r_": Concatenator("r_"),
    "c_": Concatenator("c_", axis=-1, ndim=2, place=0),
}
