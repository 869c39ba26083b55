"""Other shapes of the same elements: reshape, permute, join, split."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, linear, primitive, sample


@linear(
    transpose=lambda g, x_shape, xp: xp.reshape(g, x_shape),
    samples=[
        sample((2, 3), shape=(3, 2)),
        sample((2, 3), shape=(-1,)),
        sample((), shape=(1, 1)),
        sample((0, 2), shape=(0,)),
        sample((2, 3), shape=6),
    ],
)
def reshape(xp: Any, x: Any, *, shape: Any) -> Any:
    """The same elements in another shape; one size may be -1, and is inferred.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
    (2, 2)
    """
    return xp.reshape(x, shape if isinstance(shape, tuple) else tuple(shape) if isinstance(shape, list) else (shape,))


def _permute_vjp(g: Any, axes: Any, xp: Any) -> Any:
    inverse = [0] * len(axes)
    for position, axis in enumerate(axes):
        inverse[axis % len(axes)] = position
    return xp.permute_dims(g, tuple(inverse))


@linear(
    transpose=_permute_vjp,
    samples=[sample((2, 3, 4), axes=(2, 0, 1)), sample((2, 3), axes=(-1, -2)), sample((), axes=())],
)
def permute_dims(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    """The axes in another order: axis i of the result is axis ``axes[i]`` of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.permute_dims(np.zeros((2, 3, 4)), axes=(2, 0, 1)).shape
    (4, 2, 3)
    """
    return xp.permute_dims(x, tuple(axes))


def _concat_vjp(g: Any, xs_shape: Any, axis: Any, needs: Any, xp: Any) -> Any:
    if axis is None:
        sizes = [_size(shape) for shape in xs_shape]
        axis = 0
    else:
        sizes = [shape[axis] for shape in xs_shape]
    axis %= g.ndim
    parts = []
    start = 0
    for size, shape, needed in zip(sizes, xs_shape, needs, strict=True):
        index = (*(slice(None),) * axis, slice(start, start + size), Ellipsis)
        parts.append(xp.reshape(g[index], shape) if needed else None)
        start += size
    return tuple(parts)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


@linear(
    transpose=_concat_vjp,
    samples=[
        sample((2, 3), (1, 3), axis=0),
        sample((2, 1), (2, 3), (2, 0), axis=-1),
        sample((2,), (2, 2), axis=None),
        Sample((Array((2,), kind="complex"), Array((3,), kind="complex"))),
    ],
)
def concat(xp: Any, *xs: Any, axis: int | None = 0) -> Any:
    """Join arrays along an axis that exists; None flattens them first.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.concat(np.zeros(1), np.ones(2))
    array([0., 1., 1.])
    """
    if not xs:
        raise ArgumentError("concat needs at least one array")
    return xp.concat(xs, axis=axis)


def _bounds(size: int, sections: Any) -> list[tuple[int, int]]:
    """Return start and stop of each part, as numpy.split cuts."""
    if isinstance(sections, int):
        if sections < 1 or size % sections:
            raise ArgumentError(f"split: {size} elements do not make {sections} equal parts")
        width = size // sections
        return [(i * width, (i + 1) * width) for i in range(sections)]
    stops = [slice(0, s).indices(size)[1] for s in sections]
    return list(zip([0, *stops], [*stops, size], strict=True))


def _split_vjp(g: Any, x_shape: Any, x_dtype: Any, sections: Any, axis: int, xp: Any) -> Any:
    axis %= len(x_shape)
    parts = []
    for part, (start, stop) in zip(g, _bounds(x_shape[axis], sections), strict=True):
        shape = (*x_shape[:axis], max(stop - start, 0), *x_shape[axis + 1 :])
        parts.append(xp.zeros(shape, dtype=x_dtype) if part is None else part)
    return xp.concat(parts, axis=axis)


@primitive(
    vjps=(_split_vjp,),
    samples=[sample((6,), sections=3), sample((2, 5), sections=(1, 3), axis=-1), sample((3, 2), sections=(1,), axis=0)],
)
def split(xp: Any, x: Any, *, sections: Any, axis: int = 0) -> Any:
    """Cut along `axis` into equal parts, or, for a tuple, before each of the given positions.

    Returns a tuple. The gradient of parts that are not used is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> [part.shape for part in autodiff.ops.split(np.zeros((4, 2)), sections=2)]
    [(2, 2), (2, 2)]
    """
    if not -x.ndim <= axis < x.ndim:
        raise ArgumentError(f"split: axis {axis} does not exist in shape {x.shape}")
    before = (slice(None),) * (axis % x.ndim)
    return tuple(x[(*before, slice(start, stop), Ellipsis)] for start, stop in _bounds(x.shape[axis], sections))
