"""Differences, integrals, convolutions and interpolation of sampled functions, made of other ops."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, backend_of, composite, sample
from autodiff_ops.elementwise.arithmetic import conj, multiply
from autodiff_ops.elementwise.comparison import clip, where
from autodiff_ops.indexing import take
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import concat, expand_dims, flip, moveaxis, stack
from autodiff_ops.reduction import sum
from autodiff_ops.shapes import arrayed, is_complex, normal_axis
from autodiff_ops.sorting import searchsorted


def _part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return x[(*(slice(None),) * axis, slice(start, stop), Ellipsis)]


@composite(samples=[sample((4,)), sample((2, 3), axis=0), sample((2, 4), n=2), sample((2, 1)), sample((3,), n=0)])
def diff(x: Any, *, n: int = 1, axis: int = -1) -> Any:
    """Differences of neighbours along `axis`, ``x[i + 1] - x[i]``, taken `n` times.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.diff(np.array([1.0, 4.0, 9.0]))
    array([3., 5.])
    """
    x = arrayed(x)
    axis = normal_axis("diff", axis, len(x.shape))
    if n < 0:
        raise ArgumentError(f"diff: n is a number of times, from 0 on; it was given {n!r}")
    for _ in range(n):
        x = _part(x, axis, 1, None) - _part(x, axis, None, -1)
    return x


@composite(
    samples=[
        sample((4,), 0.5),
        sample((2, 3), Array((3,), distinct=True)),
        sample((2, 3), (2,), axis=0),
        sample((2, 3), (2, 3), axis=1),
        sample((1,), 1.0),
    ]
)
def trapezoid(y: Any, x: Any, *, axis: int = -1) -> Any:
    """Integral of samples `y` by the trapezoidal rule along `axis`.

    Parameters
    ----------
    y : array
        The values.
    x : array or float
        The points: along `axis` if there is one dimension, or of the shape of `y`; or the distance between them.
    axis : int
        Along which axis.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.trapezoid(np.array([0.0, 1.0, 2.0]), 0.5).item()
    1.0
    """
    y = arrayed(y)
    axis = normal_axis("trapezoid", axis, len(y.shape))
    width: Any = x
    if getattr(x, "shape", ()):
        width = diff(x, axis=axis if len(x.shape) == len(y.shape) else -1)
        if len(x.shape) == 1:
            width = expand_dims(width, axis=tuple(range(1, len(y.shape) - axis)))
    # An array that stands on the left of a Value may know no Values: not every library lets those answer.
    return sum(multiply((_part(y, axis, 1, None) + _part(y, axis, None, -1)) * 0.5, width), axis=axis)


_MODES = {"full": 0, "same": 1, "valid": 2}
_COMPLEX = Array((3,), kind="complex")
_PAIRS = [
    sample((4,), (3,)),
    sample((3,), (4,), mode="same"),
    sample((4,), (3,), mode="same"),
    sample((4,), (2,), mode="valid"),
    sample((2,), (4,), mode="valid"),
    sample((3,), (1,)),
    Sample((_COMPLEX, Array((2,), kind="complex"))),
]


@composite(samples=_PAIRS)
def convolve(x1: Any, x2: Any, *, mode: str = "full") -> Any:
    """Convolution of two vectors, ``sum(x1[k] * x2[n - k])`` for each n.

    Parameters
    ----------
    x1, x2 : array
        Vectors that are not empty.
    mode : {"full", "same", "valid"}
        All n where they overlap, as many in the middle as the longer one has, or those where they overlap wholly.

    Raises
    ------
    ArgumentError
        They are no vectors, or empty, or `mode` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.convolve(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([ 1., 12., 20.])
    """
    x1, x2 = arrayed(x1), arrayed(x2)
    if len(x1.shape) != 1 or len(x2.shape) != 1 or 0 in (*x1.shape, *x2.shape) or mode not in _MODES:
        raise ArgumentError(
            f"convolve takes two vectors that are not empty, and a mode of {', '.join(map(repr, _MODES))}; it was given "
            f"shapes {tuple(x1.shape)} and {tuple(x2.shape)}, and {mode!r}"
        )
    if x1.shape[0] < x2.shape[0]:
        x1, x2 = x2, x1
    n, m = x1.shape[0], x2.shape[0]
    zeros = x2[1:] * 0.0  # what stands beside the longer one
    padded = concat(zeros, x1, zeros)
    full = n + m - 1
    start, stop = {"full": (0, full), "same": ((m - 1) // 2, (m - 1) // 2 + n), "valid": (m - 1, n)}[mode]
    windows = stack(*[padded[k + start : k + stop] for k in range(m)], axis=0)
    return matmul(flip(x2, axis=0), windows)


@composite(samples=[Sample(s.inputs, {"mode": "valid", **s.attrs}) for s in _PAIRS])
def correlate(x1: Any, x2: Any, *, mode: str = "valid") -> Any:
    """Correlation of two vectors, ``sum(x1[n + k] * conj(x2[k]))`` for each n; `mode` is that of `convolve`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.correlate(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]))
    array([21., 32.])
    """
    x1, x2 = arrayed(x1), arrayed(x2)
    second = flip(conj(x2) if is_complex(x2) else x2, axis=0)
    y = convolve(x1, second, mode=mode)
    if mode == "same" and x1.shape[0] < x2.shape[0] and x1.shape[0] % 2 == 0:
        # Turned round, the middle of an even number is one further.
        full = convolve(x1, second, mode="full")
        start = x1.shape[0] // 2
        return full[start : start + x2.shape[0]]
    return y


_POINTS = (0.0, 0.5, 1.0, 2.0)


@composite(
    samples=[
        Sample((Array((5,), -0.5, 2.4, distinct=True), _POINTS, Array((4,)))),
        Sample((Array((2, 2), 0.1, 1.9, distinct=True), _POINTS, Array((4,)))),
        Sample((Array((), 0.6, 0.9), _POINTS, Array((4,)))),
    ]
)
def interp(x: Any, points: Any, values: Any) -> Any:
    """Linear interpolation at `x` of a function with `values` at ascending `points`; constant outside of them.

    All three are differentiable. At a point the slope by `x` is the one on its right.

    Raises
    ------
    ArgumentError
        `points` and `values` are no vectors of one length, or have no element.

    Examples
    --------
    >>> from autodiff import grad, ops
    >>> grad(lambda x: ops.interp(x, [0.0, 1.0, 3.0], [0.0, 10.0, 20.0]))(2.0).item()
    5.0
    """
    x = arrayed(x)
    raw = x.data if hasattr(x, "requires_grad") else x
    own: Any = backend_of(type(raw))
    points, values = (
        v if hasattr(v, "shape") else own.beside(own.asarray(v, dtype=x.dtype), raw) for v in (points, values)
    )
    if len(points.shape) != 1 or points.shape != values.shape or not points.shape[0]:
        raise ArgumentError(
            f"interp takes points and values as vectors of one length, from 1 on; it was given shapes "
            f"{tuple(points.shape)} and {tuple(values.shape)}"
        )
    last = points.shape[0] - 1
    if last == 0:
        return x * 0.0 + values[0]
    index = clip(searchsorted(points, x, side="right"), min=1, max=last)
    right, left = take(points, index), take(points, index - 1)
    above, below = take(values, index), take(values, index - 1)
    low, high = x < points[0], x > points[last]
    # Outside, where x may be infinite, the slope is not multiplied by it.
    near = where(high, left, where(low, left, x))
    inside = below + (above - below) * ((near - left) / (right - left))
    return where(high, values[last], where(low, values[0], inside))


@composite(
    samples=[
        sample((3,), (3,)),
        sample((2, 3), (3,)),
        sample((3, 2), (3, 1), axis=0),
        sample((2,), (2,)),
        Sample((_COMPLEX, _COMPLEX)),
    ]
)
def cross(x1: Any, x2: Any, *, axis: int = -1) -> Any:
    """Vector product along `axis`, which has three elements; of two vectors with two elements its third component.

    Raises
    ------
    ArgumentError
        The axis has another size.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    array([0., 0., 1.])
    """
    a, b = (x if axis == -1 else moveaxis(x, source=axis, destination=-1) for x in (arrayed(x1), arrayed(x2)))
    sizes = (a.shape[-1:], b.shape[-1:])
    if sizes == ((2,), (2,)):
        return multiply(a[..., 0], b[..., 1]) - multiply(a[..., 1], b[..., 0])
    if sizes != ((3,), (3,)):
        raise ArgumentError(f"cross: axis {axis} of {a.shape} and of {b.shape} has the sizes {sizes}; expected 3, or 2")
    parts = [multiply(a[..., i - 2], b[..., i - 1]) - multiply(a[..., i - 1], b[..., i - 2]) for i in range(3)]
    return stack(*parts, axis=axis)
