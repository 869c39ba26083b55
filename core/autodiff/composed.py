"""NumPy's functions that are several ops, or one op under another name: joined, split, turned arrays.

`COMPOSED` is what `autodiff.numpy` has of them, by NumPy's name.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters
from typing import Any

from autodiff.creation import joined
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.registry import registry
from autodiff.standard import standard

__all__ = ["COMPOSED", "array_of", "shape_of", "shipped", "subscripts_of"]


def shipped(name: str) -> Any:
    """Return the op of this name that autodiff ships, whatever other plugins have one."""
    return registry.op(f"autodiff_ops.{name}")


def shape_of(a: Any) -> tuple[int, ...]:
    """Return the shape of an array, a Value, or what an array can be made of."""
    return tuple(a.shape if hasattr(a, "shape") else registry.asarray(a)[0].shape)


def array_of(a: Any) -> Any:
    """Return an array or a Value as it is, and an array of anything else."""
    return a if hasattr(a, "shape") else registry.asarray(a)[0]


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """``numpy.copy``."""
    a = array_of(a)
    # Of truths there is no positive; an array without a gradient may be converted, which makes a new one too.
    return standard.astype(a, dtype=a.dtype) if str(a.dtype).endswith("bool") else standard.positive(a)


def atleast_1d(*arys: Any) -> Any:
    """``numpy.atleast_1d``."""
    return _each(arys, lambda shape: (1,) * (1 - len(shape)) + shape)


def atleast_2d(*arys: Any) -> Any:
    """``numpy.atleast_2d``."""
    return _each(arys, lambda shape: (1,) * (2 - len(shape)) + shape)


def atleast_3d(*arys: Any) -> Any:
    """``numpy.atleast_3d``: a vector gets an axis on both sides, a matrix one at the end."""
    return _each(arys, lambda shape: ((1,) * (2 - len(shape)) + shape + (1,))[-3:] if len(shape) < 3 else shape)


def _each(arrays: Any, shape: Callable[[Any], Any]) -> Any:
    reshaped = tuple(standard.reshape(a, shape=shape(shape_of(a))) for a in arrays)
    return reshaped[0] if len(reshaped) == 1 else reshaped


def dstack(tup: Any) -> Any:
    """``numpy.dstack``: joined along the third axis."""
    arrays = atleast_3d(*tup)
    return shipped("concat")(*(arrays if isinstance(arrays, tuple) else (arrays,)), axis=2)


def column_stack(tup: Any) -> Any:
    """``numpy.column_stack``: vectors as columns, joined along the second axis."""
    return shipped("concat")(*[standard.reshape(a, shape=(-1, 1)) if len(shape_of(a)) < 2 else a for a in tup], axis=1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``numpy.append``: both flattened without an axis; lists may have Values in them."""
    return shipped("concat")(joined(arr), joined(values), axis=axis)


def _split(name: str, axis: int) -> Callable[..., Any]:
    def split(ary: Any, indices_or_sections: Any) -> Any:
        # Of a vector hsplit takes the only axis.
        along = 0 if name == "hsplit" and len(shape_of(ary)) == 1 else axis
        sections = indices_or_sections
        if not isinstance(sections, int):
            sections = tuple(int(s) for s in sections)
        return list(shipped("split")(ary, sections=sections, axis=along))

    split.__name__ = split.__qualname__ = name
    split.__doc__ = f"``numpy.{name}``: a list of parts along axis {axis}."
    return split


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """``numpy.array_split``: parts whose sizes differ by one at most."""
    if isinstance(indices_or_sections, int):
        if not 1 <= indices_or_sections <= 2**20:
            raise ArgumentError(f"array_split: there are 1 to {2**20} parts; {indices_or_sections} were asked for")
        each, more = divmod(shape_of(ary)[axis], indices_or_sections)
        indices_or_sections = [each * i + min(i, more) for i in range(1, indices_or_sections)]
    return list(shipped("split")(ary, sections=tuple(int(s) for s in indices_or_sections), axis=axis))


def flipud(m: Any) -> Any:
    """``numpy.flipud``."""
    return shipped("flip")(m, axis=0)


def fliplr(m: Any) -> Any:
    """``numpy.fliplr``."""
    return shipped("flip")(m, axis=1)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """``numpy.rollaxis``."""
    n = len(shape_of(a))
    if not n or not -n <= axis < n:
        raise ArgumentError(f"rollaxis: axis {axis} does not exist in {n} dimensions")
    axis, start = axis % n, start + n if start < 0 else start
    return shipped("moveaxis")(a, source=axis, destination=start - (axis < start))


def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """``numpy.broadcast_arrays``."""
    shapes = [shape_of(a) for a in args]
    try:
        shape = registry.backend().xp.broadcast_shapes(*shapes)
    except ValueError as exc:
        raise ArgumentError(f"broadcast_arrays: the shapes {', '.join(map(str, shapes))} do not broadcast") from exc
    return tuple(registry.op("autodiff.broadcast_to")(a, shape=shape) for a in args)


def subscripts_of(operands: Any) -> tuple[str, tuple[Any, ...]]:
    """Return subscripts as text, and the arrays, for ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""
    lists = [*operands[1::2], *operands[-1:]] if len(operands) % 2 else [*operands[1::2]]
    if len(operands) < 2 or not all(isinstance(labels, list | tuple) for labels in lists):
        raise ArgumentTypeError(
            "einsum takes subscripts such as 'ij,jk->ik' and arrays, or each array with the list of its labels after it"
        )
    texts = ["".join("..." if label is Ellipsis else ascii_letters[label] for label in labels) for labels in lists]
    if len(operands) % 2:
        return f"{','.join(texts[:-1])}->{texts[-1]}", operands[:-1:2]
    return ",".join(texts), operands[::2]


_SPLITS = {name: _split(name, axis) for name, axis in (("vsplit", 0), ("hsplit", 1), ("dsplit", 2))}
_WRITTEN = (
    *(copy, atleast_1d, atleast_2d, atleast_3d, dstack, column_stack, append, array_split, flipud, fliplr, rollaxis),
    broadcast_arrays,
)

#: All of them, by NumPy's name.
COMPOSED: dict[str, Callable[..., Any]] = {
    **{function.__name__: function for function in _WRITTEN},
    **_SPLITS,
}
