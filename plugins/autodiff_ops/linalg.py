"""Products of matrices."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, primitive, sample
from autodiff_ops.manipulation import matrix_transpose, reshape, squeeze
from autodiff_ops.shapes import conj, size_of


def _swap(x: Any, xp: Any) -> Any:
    """Return x with its last two axes swapped."""
    n = len(x.shape)
    return xp.permute_dims(x, (*range(n - 2), n - 1, n - 2))


def _rows(x: Any, xp: Any) -> Any:
    """Return a stack of matrices as one; of rows without elements -1 would not tell how many there are."""
    return xp.reshape(x, (size_of(x.shape[:-1]), x.shape[-1]))


def _matmul_vjp_x1(g: Any, x1_shape: Any, x2: Any, xp: Any) -> Any:
    x2 = conj(x2, xp)
    if len(x2.shape) == 1:
        if len(x1_shape) == 1:
            return g * x2
        return xp.expand_dims(g, axis=-1) * x2
    if len(x1_shape) == 1:
        return xp.squeeze(xp.matmul(x2, xp.expand_dims(g, axis=-1)), axis=-1)
    return xp.matmul(g, _swap(x2, xp))


def _matmul_vjp_x2(g: Any, x1: Any, x2_shape: Any, xp: Any) -> Any:
    x1 = conj(x1, xp)
    if len(x1.shape) == 1:
        if len(x2_shape) == 1:
            return g * x1
        return xp.expand_dims(x1, axis=-1) * xp.expand_dims(g, axis=-2)
    if len(x2_shape) == 1:
        return xp.matmul(xp.reshape(g, (-1,)), _rows(x1, xp))
    if len(x2_shape) == 2 and len(x1.shape) > 2:
        # One product over all rows: a batch of products that are then summed would be as large as the batch.
        x1, g = _rows(x1, xp), _rows(g, xp)
    return xp.matmul(_swap(x1, xp), g)


def _matmul_batching(x1: Any, x2: Any, batched: tuple[bool, ...]) -> Any:
    n1, n2 = (len(x.shape) - own for x, own in zip((x1, x2), batched, strict=True))
    if not batched[1] and n2 <= 2:  # one product over all rows
        return matmul(x1, x2) if n1 else NotImplemented
    if not batched[0] and n1 in (1, 2) and n2 == 1:
        return matmul(x2, x1 if n1 == 1 else matrix_transpose(x1))
    if n1 < 1 or n2 < 1:
        return NotImplemented
    # As matrices, with as many leading axes on either side.
    rows = reshape(x1, shape=(*x1.shape[:-1], 1, x1.shape[-1])) if n1 == 1 else x1
    columns = reshape(x2, shape=(*x2.shape, 1)) if n2 == 1 else x2
    most = max(n1, n2, 2)
    rows, columns = (
        reshape(x, shape=(x.shape[0], *(1,) * (most - max(n, 2)), *x.shape[1:])) if own else x
        for x, n, own in ((rows, n1, batched[0]), (columns, n2, batched[1]))
    )
    y = matmul(rows, columns)
    gone = (*((-2,) if n1 == 1 else ()), *((-1,) if n2 == 1 else ()))
    return squeeze(y, axis=gone) if gone else y


@primitive(
    vjps={"x1": _matmul_vjp_x1, "x2": _matmul_vjp_x2},
    jvps={"x1": lambda t, x2, xp: xp.matmul(t, x2), "x2": lambda t, x1, xp: xp.matmul(x1, t)},
    signature="(m,k),(k,n)->(m,n)",
    samples=[
        sample((3,), (3,)),
        sample((2, 3), (3,)),
        sample((3,), (3, 2)),
        sample((2, 3), (3, 4)),
        sample((5, 2, 3), (3, 4)),
        sample((2, 3), (5, 3, 4)),
        sample((5, 1, 2, 3), (4, 3, 2)),
        sample((5, 2, 3), (3,)),
        sample((3,), (5, 3, 4)),
        sample((2, 0), (0, 3)),
        sample((0, 3), (3, 2)),
        sample((2, 1, 0), (0, 3)),
        sample((2, 3, 0), (0,)),
        Sample((Array((2, 3), kind="complex"), Array((3, 2), kind="complex"))),
        Sample((Array((2, 3)), Array((3,), kind="complex"))),
    ],
    batching=_matmul_batching,
)
def matmul(x1: Any, x2: Any) -> Any:
    """Matrix product; 1-D operands are a row on the left and a column on the right, leading axes broadcast.

    The gradients are ``g @ x2^H`` and ``x1^H @ g``, summed over broadcast axes.

    References
    ----------
    M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
    Advances in Automatic Differentiation (2008), section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.matmul(np.ones((2, 3)), np.ones(3))
    array([3., 3.])
    """
