"""Other shapes and orders of the same elements: reshape, permute, join, cut, turn."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, linear, primitive, sample, shifted
from autodiff_ops.shapes import normal_axes, normal_axis, size_of


def _reshape_batching(x: Any, shape: Any) -> Any:
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if -1 in sizes:  # found here, as the batch may be empty
        known, count = size_of(n for n in sizes if n != -1), size_of(x.shape[1:])
        sizes = tuple(count // known if n == -1 and known else n for n in sizes)
    if size_of(sizes) != size_of(x.shape[1:]):
        raise ArgumentError(f"reshape: {x.shape[1:]} does not have as many elements as {shape!r}")
    return reshape(x, shape=(x.shape[0], *sizes))


@linear(
    transpose=lambda g, x_shape, xp: xp.reshape(g, x_shape),
    samples=[
        sample((2, 3), shape=(3, 2)),
        sample((2, 3), shape=(-1,)),
        sample((), shape=(1, 1)),
        sample((0, 2), shape=(0,)),
        sample((2, 3), shape=6),
    ],
    batching=_reshape_batching,
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


def _permute_dims_batching(x: Any, axes: tuple[int, ...]) -> Any:
    n = len(x.shape) - 1
    return permute_dims(x, axes=(0, *(1 + axis for axis in normal_axes("permute_dims", tuple(axes), n))))


@linear(
    transpose=_permute_vjp,
    samples=[sample((2, 3, 4), axes=(2, 0, 1)), sample((2, 3), axes=(-1, -2)), sample((), axes=())],
    batching=_permute_dims_batching,
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
        sizes = [size_of(shape) for shape in xs_shape]
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


def _concat_batching(xs: Any, axis: int | None) -> Any:
    if axis is None:
        return concat(*[reshape(x, shape=(x.shape[0], size_of(x.shape[1:]))) for x in xs], axis=1)
    return concat(*xs, axis=shifted(axis, len(xs[0].shape) - 1))


@linear(
    transpose=_concat_vjp,
    samples=[
        sample((2, 3), (1, 3), axis=0),
        sample((2, 1), (2, 3), (2, 0), (2, 2), axis=-1),
        sample((2,), (2, 2), (3,), axis=None),
        Sample((Array((2,), kind="complex"), Array((3,), kind="complex"))),
    ],
    batching=_concat_batching,
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
    size = x_shape[axis]
    bounds = _bounds(size, sections)

    def zeros(count: int) -> Any:
        return xp.zeros((*x_shape[:axis], count, *x_shape[axis + 1 :]), dtype=x_dtype)

    parts = [zeros(max(end - start, 0)) if p is None else p for p, (start, end) in zip(g, bounds, strict=True)]
    if all(start <= end for start, end in bounds):
        return xp.concat(parts, axis=axis)
    whole = zeros(size)  # what lies between positions that descend is in several parts
    for part, (start, end) in zip(parts, bounds, strict=True):
        if start < end:
            whole = whole + xp.concat((zeros(start), part, zeros(size - end)), axis=axis)
    return whole


def _numpy_split(x: Any, sections: Any, axis: int = 0) -> Any:
    import numpy as np

    return np.split(x, sections, axis)


@primitive(
    vjps=(_split_vjp,),
    samples=[
        sample((6,), sections=3),
        sample((3,), sections=1),
        sample((2, 5), sections=(1, 3), axis=-1),
        sample((3, 2), sections=(1,), axis=0),
        sample((4,), sections=(1, 1)),
        sample((4,), sections=(-1,)),
        sample((3,), sections=(2, 5)),
        sample((5,), sections=(3, 1)),
        sample((2, 5), sections=(3, 1), axis=1),
    ],
    batching=("axis",),
    reference=_numpy_split,  # the kernel and its rule find the places alike: another opinion is needed
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


def _swap_last(g: Any) -> Any:
    return matrix_transpose(g)


def _matrix_transpose_batching(x: Any) -> Any:
    return NotImplemented if len(x.shape) < 3 else matrix_transpose(x)


@linear(
    transpose=_swap_last,
    samples=[sample((2, 3)), sample((4, 2, 3)), sample((0, 2))],
    batching=_matrix_transpose_batching,
)
def matrix_transpose(xp: Any, x: Any) -> Any:
    """The last two axes swapped; for complex numbers nothing is conjugated.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.matrix_transpose(np.zeros((4, 2, 3))).shape
    (4, 3, 2)
    """
    n = len(x.shape)
    if n < 2:
        raise ArgumentError(f"matrix_transpose needs at least two dimensions; the shape is {x.shape}")
    return xp.permute_dims(x, (*range(n - 2), n - 1, n - 2))


def _moveaxis_vjp(g: Any, source: Any, destination: Any) -> Any:
    return moveaxis(g, source=destination, destination=source)


@linear(
    transpose=_moveaxis_vjp,
    samples=[
        sample((2, 3, 4), source=0, destination=-1),
        sample((2, 3, 4), source=(-1, 0), destination=(0, 1)),
        sample((0, 2), source=1, destination=0),
    ],
    batching=("source", "destination"),
)
def moveaxis(xp: Any, x: Any, *, source: Any, destination: Any) -> Any:
    """Axes `source`, an int or a tuple, moved to the places `destination`; the others keep their order.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.moveaxis(np.zeros((2, 3, 4)), source=0, destination=-1).shape
    (3, 4, 2)
    """
    n = len(x.shape)
    old, new = normal_axes("moveaxis", source, n), normal_axes("moveaxis", destination, n)
    if len(old) != len(new):
        raise ArgumentError(f"moveaxis: {len(old)} axes {source!r} cannot go to {len(new)} places {destination!r}")
    rest = iter(axis for axis in range(n) if axis not in old)
    moved = dict(zip(new, old, strict=True))
    return xp.permute_dims(x, tuple(moved[i] if i in moved else next(rest) for i in range(n)))


def _swapaxes_vjp(g: Any, axis1: int, axis2: int) -> Any:
    return swapaxes(g, axis1=axis1, axis2=axis2)


@linear(
    transpose=_swapaxes_vjp,
    samples=[sample((2, 3, 4), axis1=0, axis2=-1), sample((2, 3), axis1=1, axis2=1)],
    method=True,
    batching=("axis1", "axis2"),
)
def swapaxes(xp: Any, x: Any, *, axis1: int, axis2: int) -> Any:
    """Two axes swapped.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.swapaxes(np.zeros((2, 3, 4)), axis1=0, axis2=2).shape
    (4, 3, 2)
    """
    order = [*range(len(x.shape))]
    i, j = (normal_axis("swapaxes", axis, len(order)) for axis in (axis1, axis2))
    order[i], order[j] = j, i
    return xp.permute_dims(x, tuple(order))


def _reshape_back(g: Any, x_shape: Any, xp: Any) -> Any:
    return xp.reshape(g, x_shape)


def _squeeze_batching(x: Any, axis: Any) -> Any:
    if axis is None:
        axis = tuple(i for i, n in enumerate(x.shape[1:]) if n == 1)
    return squeeze(x, axis=shifted(axis, len(x.shape) - 1))


@linear(
    transpose=_reshape_back,
    samples=[sample((1, 3, 1), axis=None), sample((1, 3, 1), axis=-1), sample((1, 0, 1), axis=(0, 2)), sample(())],
    method=True,
    batching=_squeeze_batching,
)
def squeeze(xp: Any, x: Any, *, axis: Any = None) -> Any:
    """Without the axes of size 1 that `axis` names: an int, a tuple of ints, or None for all of them.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.squeeze(np.zeros((1, 3, 1)), axis=0).shape
    (3, 1)
    """
    shape = x.shape
    axes = normal_axes("squeeze", axis, len(shape))
    if axis is not None and any(shape[a] != 1 for a in axes):
        raise ArgumentError(f"squeeze: axis {axis} of shape {shape} is not of size 1")
    return xp.reshape(x, tuple(n for i, n in enumerate(shape) if n != 1 or i not in axes))


def _expand_dims_batching(x: Any, axis: Any) -> Any:
    n = len(x.shape) - 1 + (len(axis) if isinstance(axis, tuple | list) else 1)
    return expand_dims(x, axis=shifted(axis, n))


@linear(
    transpose=_reshape_back,
    samples=[sample((2, 3), axis=0), sample((2, 3), axis=-1), sample((2, 3), axis=(0, -1)), sample((), axis=0)],
    batching=_expand_dims_batching,
)
def expand_dims(xp: Any, x: Any, *, axis: Any = 0) -> Any:
    """With new axes of size 1 at the places `axis`, an int or a tuple, of the result.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.expand_dims(np.zeros((2, 3)), axis=-1).shape
    (2, 3, 1)
    """
    n = len(x.shape) + (len(axis) if isinstance(axis, tuple | list) else 1)
    places = normal_axes("expand_dims", axis, n)
    sizes = iter(x.shape)
    return xp.reshape(x, tuple(1 if i in places else next(sizes) for i in range(n)))


def _stack_vjp(g: Any, axis: int, needs: Any) -> Any:
    return tuple(part if needed else None for part, needed in zip(unstack(g, axis=axis), needs, strict=True))


def _stack_batching(xs: Any, axis: int) -> Any:
    return stack(*xs, axis=shifted(axis, len(xs[0].shape)))


@linear(
    transpose=_stack_vjp,
    samples=[
        sample((2, 3), (2, 3)),
        sample((2, 3), (2, 3), (2, 3), axis=-1),
        sample((), ()),
        sample((0, 2), axis=1),
        Sample((Array((2,), kind="complex"), Array((2,), kind="complex"))),
    ],
    batching=_stack_batching,
)
def stack(xp: Any, *xs: Any, axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.stack(np.zeros(2), np.ones(2), axis=1)
    array([[0., 1.],
           [0., 1.]])
    """
    return xp.stack(xs, axis=axis)


def _unstack_vjp(g: Any, x_shape: Any, x_dtype: Any, axis: int, xp: Any) -> Any:
    axis = normal_axis("unstack", axis, len(x_shape))
    shape = (*x_shape[:axis], *x_shape[axis + 1 :])
    return stack(*[xp.zeros(shape, dtype=x_dtype) if part is None else part for part in g], axis=axis)


@primitive(
    vjps=(_unstack_vjp,),
    samples=[sample((3,)), sample((2, 3)), sample((2, 3, 2), axis=-2), sample((2, 0))],
    batching=("axis",),
)
def unstack(xp: Any, x: Any, *, axis: int = 0) -> Any:
    """The slices along `axis`, as a tuple: the inverse of `stack`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> [part.tolist() for part in autodiff.ops.unstack(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1)]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    axis = normal_axis("unstack", axis, len(x.shape))
    if x.shape[axis] == 0:
        raise ArgumentError(f"unstack: axis {axis} of shape {x.shape} has no slices")
    before = (slice(None),) * axis
    return tuple(x[(*before, i, Ellipsis)] for i in range(x.shape[axis]))


def _flip_vjp(g: Any, axis: Any) -> Any:
    return flip(g, axis=axis)


@linear(
    transpose=_flip_vjp,
    samples=[
        sample((2, 3)),
        sample((2, 3), axis=-1),
        sample((2, 3, 2), axis=(0, -1)),
        sample((0, 2), axis=0),
        sample(()),
    ],
    batching=("axis",),
)
def flip(xp: Any, x: Any, *, axis: Any = None) -> Any:
    """The elements in reverse order along `axis`: an int, a tuple of ints, or None for all.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.flip(np.array([1.0, 2.0, 3.0]))
    array([3., 2., 1.])
    """
    return xp.flip(x, axis=axis)


def _roll_vjp(g: Any, shift: Any, axis: Any) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, tuple | list) else -shift
    return roll(g, shift=back, axis=axis)


def _roll_batching(x: Any, shift: Any, axis: Any) -> Any:
    if axis is not None:
        return roll(x, shift=shift, axis=shifted(axis, len(x.shape) - 1))
    flat = reshape(x, shape=(x.shape[0], size_of(x.shape[1:])))
    return reshape(roll(flat, shift=shift, axis=1), shape=x.shape)


@linear(
    transpose=_roll_vjp,
    samples=[
        sample((5,), shift=2),
        sample((2, 3), shift=-1),
        sample((2, 3), shift=4, axis=-1),
        sample((2, 3), shift=(1, -2), axis=(0, 1)),
        sample((0, 2), shift=1, axis=0),
    ],
    batching=_roll_batching,
)
def roll(xp: Any, x: Any, *, shift: Any, axis: Any = None) -> Any:
    """Shift the elements along `axis`; what leaves at one end comes in at the other. None rolls the flattened array.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.roll(np.array([1.0, 2.0, 3.0]), shift=1)
    array([3., 1., 2.])
    """
    return xp.roll(x, shift, axis=axis)
