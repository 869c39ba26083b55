"""More elements than before: repeat, tile, pad, meshgrid."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, broadcast_to, linear, primitive, sample, shifted
from autodiff_ops.indexing import scatter_add
from autodiff_ops.manipulation import reshape
from autodiff_ops.reduction import sum
from autodiff_ops.shapes import normal_axis, possible, size_of


def _repeat_vjp(g: Any, x_shape: Any, repeats: Any, axis: int | None, xp: Any) -> Any:
    shape = x_shape
    if axis is None:
        axis, shape = 0, (size_of(x_shape),)
    axis = normal_axis("repeat", axis, len(shape))
    if isinstance(repeats, int):
        copies = xp.reshape(g, (*shape[: axis + 1], repeats, *shape[axis + 1 :]))
        return xp.reshape(sum(copies, axis=axis + 1), x_shape)
    origin = tuple(i for i, count in enumerate(_counts(repeats, shape[axis])) for _ in range(count))
    return xp.reshape(scatter_add(g, shape=shape, index=(*(slice(None),) * axis, origin)), x_shape)


def _counts(repeats: Any, size: int) -> list[int]:
    counts = [int(count) for count in repeats]
    return counts * size if len(counts) == 1 else counts


def _repeat_batching(x: Any, repeats: Any, axis: int | None) -> Any:
    if axis is None:
        return repeat(reshape(x, shape=(x.shape[0], size_of(x.shape[1:]))), repeats=repeats, axis=1)
    return repeat(x, repeats=repeats, axis=shifted(axis, len(x.shape) - 1))


@linear(
    transpose=_repeat_vjp,
    samples=[
        sample((3,), repeats=2),
        sample((2, 3), repeats=2, axis=-1),
        sample((2, 3), repeats=3),
        sample((2, 3), repeats=0, axis=0),
        sample((2, 3), repeats=(2, 0, 1), axis=1),
        sample((3,), repeats=(2,)),
        sample((0, 2), repeats=2, axis=0),
        sample((0, 2), repeats=(), axis=0),
        sample((), repeats=3),
        Sample((Array((2,), kind="complex"),), {"repeats": 2}),
    ],
    method=True,
    batching=_repeat_batching,
)
def repeat(xp: Any, x: Any, *, repeats: Any, axis: int | None = None) -> Any:
    """Each slice along `axis` several times in a row: `repeats` times, or for a tuple each its own number of times.

    None as `axis` repeats the elements of the flattened array. The gradient is the sum over the copies, 0
    where there are none.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.repeat(np.array([1.0, 2.0]), repeats=2)
    array([1., 1., 2., 2.])
    """
    if isinstance(repeats, int):
        possible("repeat", (*x.shape, repeats))
    return xp.repeat(x, repeats if isinstance(repeats, int) else xp.asarray(repeats, dtype=xp.int64), axis=axis)


def _tile_shapes(shape: Any, repetitions: Any) -> tuple[list[int], list[int]]:
    """Return shape and repetitions, both of full length."""
    times = [repetitions] if isinstance(repetitions, int) else [int(r) for r in repetitions]
    if any(r < 0 for r in times):
        raise ArgumentError(f"tile: repetitions are not negative; they were given as {repetitions!r}")
    n = max(len(shape), len(times))
    return [1] * (n - len(shape)) + list(shape), [1] * (n - len(times)) + times


def _tile_vjp(g: Any, x_shape: Any, repetitions: Any, xp: Any) -> Any:
    sizes, times = _tile_shapes(x_shape, repetitions)
    copies = xp.reshape(g, tuple(n for pair in zip(times, sizes, strict=True) for n in pair))
    return xp.reshape(sum(copies, axis=tuple(range(0, 2 * len(sizes), 2))), x_shape)


def _tile_batching(x: Any, repetitions: Any) -> Any:
    sizes, times = _tile_shapes(x.shape[1:], repetitions)
    return tile(reshape(x, shape=(x.shape[0], *sizes)), repetitions=(1, *times))


def _numpy_tile(x: Any, repetitions: Any) -> Any:
    import numpy as np

    return np.tile(x, repetitions)


@linear(
    transpose=_tile_vjp,
    samples=[
        sample((3,), repetitions=2),
        sample((2, 3), repetitions=(2, 1, 3)),
        sample((2, 3), repetitions=(2,)),
        sample((2, 3), repetitions=(0, 2)),
        sample((2, 0), repetitions=2),
        sample((), repetitions=(2, 2)),
    ],
    batching=_tile_batching,
    reference=_numpy_tile,  # the kernel and its transpose complete shapes alike: another opinion is needed
)
def tile(xp: Any, x: Any, *, repetitions: Any) -> Any:
    """The whole array several times along each axis.

    Parameters
    ----------
    x : array
        Any shape.
    repetitions : int or tuple of int
        How often along each axis, the last ones if there are fewer than axes; 0 gives an empty array.

    Raises
    ------
    ArgumentError
        A number is negative.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.tile(np.array([1.0, 2.0]), repetitions=2)
    array([1., 2., 1., 2.])
    """
    sizes, times = _tile_shapes(x.shape, repetitions)
    possible("tile", [n * count for n, count in zip(sizes, times, strict=True)])
    return xp.tile(x, tuple(times))


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """Return the margins before and after each axis, from what numpy.pad takes."""
    single = isinstance(pad_width, int)
    pairs = [pad_width] if single or all(isinstance(w, int) for w in pad_width) else list(pad_width)
    widths = [(w, w) if isinstance(w, int) else (w[0], w[-1]) for w in pairs]
    widths = widths * ndim if len(widths) == 1 else widths
    if len(widths) != ndim or any(w < 0 for pair in widths for w in pair):
        raise ArgumentError(
            f"pad: pad_width is a number, a pair (before, after), or such a pair for each of the {ndim} axes, none of "
            f"them negative; it was given {pad_width!r}"
        )
    return widths


def _inside(shape: Any, pad_width: Any) -> tuple[Any, ...]:
    widths = _widths(pad_width, len(shape))
    return (*(slice(before, before + n) for n, (before, _) in zip(shape, widths, strict=True)), Ellipsis)


def _pad_vjp(g: Any, x_shape: Any, pad_width: Any) -> Any:
    return g[_inside(x_shape, pad_width)]


def _pad_jvp(t: Any, pad_width: Any) -> Any:
    return pad(t, pad_width=pad_width)


def _pad_batching(x: Any, pad_width: Any, constant_values: Any) -> Any:
    ndim = len(x.shape) - 1
    fills = _pairs(constant_values, ndim)
    if fills is None:
        return NotImplemented
    return pad(x, pad_width=((0, 0), *_widths(pad_width, ndim)), constant_values=((0, 0), *fills))


def _pairs(numbers: Any, ndim: int) -> list[tuple[Any, Any]] | None:
    """Return two numbers for each axis, of one, of two, or of as many; None if there are not."""
    single = not isinstance(numbers, tuple | list)
    listed = [numbers] if single or not any(isinstance(n, tuple | list) for n in numbers) else list(numbers)
    pairs = [(n[0], n[-1]) if isinstance(n, tuple | list) and n else (n, n) for n in listed]
    pairs = pairs * ndim if len(pairs) == 1 else pairs
    return pairs if len(pairs) == ndim else None


@primitive(
    vjps=(_pad_vjp,),
    jvps=(_pad_jvp,),
    samples=[
        sample((3,), pad_width=1),
        sample((2, 3), pad_width=((1, 0), (0, 2)), constant_values=2.0),
        sample((2, 3), pad_width=((1, 0), (0, 2)), constant_values=((1.0, 2.0), (3.0, 4.0))),
        sample((2, 3), pad_width=(1, 2)),
        sample((0, 2), pad_width=1),
        sample((), pad_width=1),
        Sample((Array((2,), kind="complex"),), {"pad_width": 1}),
    ],
    batching=_pad_batching,
)
def pad(xp: Any, x: Any, *, pad_width: Any, constant_values: Any = 0.0) -> Any:
    """A margin of `constant_values` around `x`; the gradient of the margin is left out.

    Parameters
    ----------
    x : array
        Any shape.
    pad_width : int, tuple of two ints, or tuple of such tuples
        Margins before and after: the same everywhere, the same for each axis, or for each axis its own.
    constant_values : number, tuple of two numbers, or tuple of such tuples
        What the margins are filled with, in the same way. Where those of two axes meet, the later axis counts.

    Raises
    ------
    ArgumentError
        `pad_width` or `constant_values` does not fit the axes, or a width is negative.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.pad(np.array([1.0, 2.0]), pad_width=(1, 2))
    array([0., 1., 2., 0., 0.])
    """
    widths = _widths(pad_width, len(x.shape))
    shape = tuple(before + n + after for n, (before, after) in zip(x.shape, widths, strict=True))
    possible("pad", shape)
    fills = _pairs(constant_values, len(shape))
    if fills is None:
        raise ArgumentError(
            f"pad: constant_values is a number, a pair (before, after), or such a pair for each of the {len(shape)} axes; "
            f"it was given {constant_values!r}"
        )
    if not isinstance(constant_values, tuple | list):
        out = xp.full(shape, constant_values, dtype=x.dtype)
    else:
        out = xp.zeros(shape, dtype=x.dtype)
        for axis, ((before, after), (first, last)) in enumerate(zip(widths, fills, strict=True)):
            lead = (slice(None),) * axis
            out[(*lead, slice(0, before), Ellipsis)] = first
            out[(*lead, slice(shape[axis] - after, None), Ellipsis)] = last
    out[_inside(x.shape, pad_width)] = x
    return out


def _meshgrid_vjp(g: Any, xs_shape: Any, indexing: str, needs: Any, xp: Any) -> Any:
    n = len(xs_shape)
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else [*range(n)]
    pulled: list[Any] = []
    for own, part, shape, needed in zip(axes, g, xs_shape, needs, strict=True):
        rest = tuple(axis for axis in range(n) if axis != own)
        pulled.append(xp.reshape(sum(part, axis=rest), shape) if needed and part is not None else None)
    return tuple(pulled)


def _meshgrid_batching(xs: Any, indexing: str) -> Any:
    n, size = len(xs), xs[0].shape[0]
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else [*range(n)]
    lengths = [size_of(x.shape[1:]) for x in xs]
    grid = [0] * n
    for axis, length in zip(axes, lengths, strict=True):
        grid[axis] = length
    lines = (
        reshape(x, shape=(size, *(length if i == axis else 1 for i in range(n))))
        for x, axis, length in zip(xs, axes, lengths, strict=True)
    )
    return tuple(broadcast_to(line, shape=(size, *grid)) for line in lines)


@primitive(
    vjp=_meshgrid_vjp,
    samples=[
        sample((3,), (2,)),
        sample((3,), (2,), (2,), indexing="ij"),
        sample((2,), (), indexing="ij"),
        sample((0,), (2,)),
        sample((3,)),
    ],
    batching=_meshgrid_batching,
)
def meshgrid(xp: Any, *xs: Any, indexing: str = "xy") -> Any:
    """Coordinates of a grid from those of its axes: for each vector an array of the shape of the grid.

    Parameters
    ----------
    *xs : array
        Vectors, or numbers, which count as vectors of length 1.
    indexing : {"xy", "ij"}
        Whether the first axis of the grid belongs to the second vector, as in pictures, or to the first, as in
        matrices.

    Raises
    ------
    ArgumentError
        `indexing` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> x, y = autodiff.ops.meshgrid(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0]))
    >>> x.shape, y[:, 0]
    ((2, 3), array([4., 5.]))
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing is 'xy' or 'ij'; it was given {indexing!r}")
    # Not every library takes a single number for one coordinate.
    return tuple(
        xp.meshgrid(*[xp.reshape(x, (1,)) if getattr(x, "shape", None) == () else x for x in xs], indexing=indexing)
    )
