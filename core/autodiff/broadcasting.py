"""The two ops that broadcasting itself needs, each the other's gradient: `sum_to` and `broadcast_to`.

They are the only ops that the core declares.
"""

from __future__ import annotations

from typing import Any

from autodiff.declarations import linear
from autodiff.samples import sample
from autodiff.standard import standard

__all__ = ["OPS", "broadcast_to", "sum_to"]


def _sum_to_vjp(g: Any, x_shape: tuple[int, ...]) -> Any:
    return broadcast_to(g, shape=x_shape)


def _sum_to_batching(x: Any, shape: tuple[int, ...]) -> Any:
    size, missing = x.shape[0], len(x.shape) - 1 - len(shape)
    return standard.reshape(sum_to(x, shape=(size, *(1,) * missing, *shape)), shape=(size, *shape))


@linear(
    transpose=_sum_to_vjp,
    samples=[
        sample((2, 3), shape=(3,)),
        sample((4, 2, 3), shape=(2, 1)),
        sample((2,), shape=()),
        sample((0, 2), shape=(1, 2)),
    ],
    batching=_sum_to_batching,
)
def sum_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum `x` over the dimensions that broadcasting added to `shape`: the transpose of `broadcast_to`.

    Parameters
    ----------
    x : array
        Of a shape that `shape` broadcasts to.
    shape : tuple of int
        The shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.broadcasting import sum_to
    >>> sum_to(np.ones((4, 3)), shape=(1, 3))
    array([[4., 4., 4.]])
    """
    extra = x.ndim - len(shape)
    axes = tuple(i for i in range(x.ndim) if i < extra or (shape[i - extra] == 1 and x.shape[i] != 1))
    if not axes:
        return x
    # float16 overflows at 65504 and loses small terms long before: it is summed in float32.
    narrow = x.dtype == xp.float16 if hasattr(xp, "float16") else False
    total = xp.sum(x, axis=axes, dtype=xp.float32) if narrow else xp.sum(x, axis=axes)
    if narrow:
        total = xp.astype(total, x.dtype)
    return total if total.shape == tuple(shape) else xp.reshape(total, shape)


def _broadcast_to_batching(x: Any, shape: tuple[int, ...]) -> Any:
    size, missing = x.shape[0], len(shape) - (len(x.shape) - 1)
    if missing > 0:
        x = standard.reshape(x, shape=(size, *(1,) * missing, *x.shape[1:]))
    return broadcast_to(x, shape=(size, *shape))


@linear(
    transpose=lambda g, x_shape: sum_to(g, shape=x_shape),
    samples=[
        sample((3,), shape=(2, 3)),
        sample((2, 1), shape=(4, 2, 3)),
        sample((), shape=(2, 2)),
        sample((1, 2), shape=(0, 2)),
    ],
    batching=_broadcast_to_batching,
)
def broadcast_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    """Repeat `x` along new and unit dimensions to `shape`, by the rules of broadcasting.

    Parameters
    ----------
    x : array
        Of a shape that broadcasts to `shape`.
    shape : tuple of int
        The shape of the result.

    Raises
    ------
    KernelError
        The shape of `x` does not broadcast to `shape`.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.broadcasting import broadcast_to
    >>> broadcast_to(np.array([1.0, 2.0]), shape=(2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    return xp.broadcast_to(x, shape)


OPS = (sum_to, broadcast_to)
