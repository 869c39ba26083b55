"""Products of vectors and arrays, made of `multiply` and `matmul`; `einsum` has a module of its own."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, composite, sample
from autodiff_ops.elementwise.arithmetic import conj, multiply
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import moveaxis, permute_dims, reshape
from autodiff_ops.reduction import sum
from autodiff_ops.shapes import arrayed, is_complex, normal_axes, size_of

_COMPLEX = Array((3,), kind="complex")


@composite(
    samples=[
        sample((3,), (3,)),
        sample((2, 3), (3,)),
        sample((4, 1, 3), (2, 3)),
        sample((3, 2), (3, 1), axis=0),
        sample((2, 0), (2, 0)),
        Sample((_COMPLEX, _COMPLEX)),
        Sample((_COMPLEX, Array((3,)))),
    ]
)
def vecdot(x1: Any, x2: Any, *, axis: int = -1) -> Any:
    """Inner product over `axis`, ``sum(conj(x1) * x2)``; the other axes broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    x1, x2 = (x if axis == -1 else moveaxis(x, source=axis, destination=-1) for x in (arrayed(x1), arrayed(x2)))
    if x1.shape[-1:] != x2.shape[-1:]:
        raise ArgumentError(f"vecdot: axis {axis} of {x1.shape} and of {x2.shape} differ in size, and do not broadcast")
    return sum(multiply(conj(x1) if is_complex(x1) else x1, x2), axis=-1)


@composite(
    samples=[sample((2,), (3,)), sample((2, 2), (3,)), sample((), (2,)), sample((0,), (2,)), sample(_COMPLEX, _COMPLEX)]
)
def outer(x1: Any, x2: Any) -> Any:
    """All products of an element of `x1` and one of `x2`, as a matrix; arrays of more axes are flattened.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.outer(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([[ 1., 10.],
           [ 2., 20.]])
    """
    x1, x2 = arrayed(x1), arrayed(x2)
    return multiply(reshape(x1, shape=(size_of(x1.shape), 1)), reshape(x2, shape=(1, size_of(x2.shape))))


def _contracted(axes: Any, shape1: tuple[int, ...], shape2: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes of either side that are summed over, counted from the front."""
    n1, n2 = len(shape1), len(shape2)
    if isinstance(axes, int):
        if not 0 <= axes <= min(n1, n2):
            raise ArgumentError(f"tensordot: axes={axes} is a number of axes, from 0 to {min(n1, n2)} for these shapes")
        first, second = tuple(range(n1 - axes, n1)), tuple(range(axes))
    else:
        one, two = axes
        first, second = normal_axes("tensordot", one, n1), normal_axes("tensordot", two, n2)
    sizes1, sizes2 = tuple(shape1[a] for a in first), tuple(shape2[a] for a in second)
    if sizes1 != sizes2:
        raise ArgumentError(
            f"tensordot: axes {first} of shape {shape1} and {second} of shape {shape2} have the sizes {sizes1} and "
            f"{sizes2}; they must be equal"
        )
    return first, second


@composite(
    samples=[
        sample((2, 3, 4), (3, 4, 2)),
        sample((2, 3), (3, 2), axes=1),
        sample((2,), (3,), axes=0),
        sample((2, 3, 4), (4, 2), axes=((0, -1), (1, 0))),
        sample((2, 3), (4, 3), axes=(-1, -1)),
        sample((2, 0), (0, 3), axes=1),
        sample((), (2,), axes=0),
        Sample((Array((2, 3), kind="complex"), Array((3, 2), kind="complex")), {"axes": 1}),
    ]
)
def tensordot(x1: Any, x2: Any, *, axes: Any = 2) -> Any:
    """Sum of products over several axes.

    Parameters
    ----------
    x1, x2 : array
        Any shapes whose contracted axes agree in size; nothing is conjugated.
    axes : int, or tuple of two
        The number of axes, the last of `x1` and the first of `x2`; or the axes of either, ints or tuples of ints.

    Returns
    -------
    array
        With the axes of `x1` that are left, then those of `x2`.

    Raises
    ------
    ArgumentError
        The axes do not exist, or differ in size.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.tensordot(np.ones((2, 3, 4)), np.ones((4, 2)), axes=((0, 2), (1, 0))).tolist()
    [8.0, 8.0, 8.0]
    """
    x1, x2 = arrayed(x1), arrayed(x2)
    first, second = _contracted(axes, x1.shape, x2.shape)
    left = tuple(i for i in range(len(x1.shape)) if i not in first)
    right = tuple(i for i in range(len(x2.shape)) if i not in second)
    shape = (*(x1.shape[i] for i in left), *(x2.shape[i] for i in right))
    inner = size_of(x1.shape[a] for a in first)
    rows = reshape(permute_dims(x1, axes=(*left, *first)), shape=(size_of(x1.shape[i] for i in left), inner))
    columns = reshape(permute_dims(x2, axes=(*second, *right)), shape=(inner, size_of(x2.shape[i] for i in right)))
    return reshape(matmul(rows, columns), shape=shape)


@composite(
    samples=[sample((2,), (3,)), sample((2, 3), (3, 2)), sample((2,), (3, 2)), sample((), (2,)), sample((0,), (2,))]
)
def kron(x1: Any, x2: Any) -> Any:
    """Kronecker product: `x2` as a block, times each element of `x1`; missing axes are put in front.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.kron(np.array([1.0, 10.0]), np.array([1.0, 2.0]))
    array([ 1.,  2., 10., 20.])
    """
    x1, x2 = arrayed(x1), arrayed(x2)
    n = max(len(x1.shape), len(x2.shape))
    shape1, shape2 = ((1,) * (n - len(x.shape)) + tuple(x.shape) for x in (x1, x2))
    blocks = reshape(x1, shape=tuple(k for m in shape1 for k in (m, 1)))
    inside = reshape(x2, shape=tuple(k for m in shape2 for k in (1, m)))
    return reshape(multiply(blocks, inside), shape=tuple(m * k for m, k in zip(shape1, shape2, strict=True)))
