"""Systems of linear equations: the last two axes are matrices, those before are a batch.

Kernels are those of the library's ``linalg`` namespace; half precision is computed in float32. The rules are
those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", Advances in Automatic Differentiation (2008).
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, ArgumentTypeError, Array, Sample, composite, primitive, sample
from autodiff_ops.diagonals import tril, triu
from autodiff_ops.elementwise.arithmetic import conj
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import expand_dims, matrix_transpose, squeeze
from autodiff_ops.reduction import sum
from autodiff_ops.shapes import arrayed, is_complex, is_half

COMPLEX = Sample((Array((2, 2), kind="complex"),))
SQUARE = [sample((3, 3)), sample((3, 2, 2)), sample((1, 1)), COMPLEX]


def run(xp: Any, name: str, *xs: Any, **options: Any) -> Any:
    """Call a function of ``xp.linalg``, for half precision in float32 and back."""
    if not is_half(xs[0], xp):
        return getattr(xp.linalg, name)(*xs, **options)
    y = getattr(xp.linalg, name)(*[xp.astype(x, xp.float32) for x in xs], **options)
    several = isinstance(y, tuple)
    return tuple(xp.astype(part, xs[0].dtype) for part in y) if several else xp.astype(y, xs[0].dtype)


def check_square(where: str, x: Any) -> None:
    """Refuse what is no square matrix."""
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise ArgumentError(f"{where} takes square matrices, of shape (..., n, n); it was given shape {tuple(x.shape)}")


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose."""
    return matrix_transpose(conj(x) if is_complex(x) else x)


@primitive(
    vjps=(lambda g, y: -matmul(matmul(adjoint(y), g), adjoint(y)),),
    jvps=(lambda t, y: -matmul(matmul(y, t), y),),
    samples=SQUARE,
)
def inv(xp: Any, x: Any) -> Any:
    """Inverse of square matrices; the gradient is ``-y^H g y^H``.

    Raises
    ------
    ArgumentError
        `x` is not square. What the library raises for singular matrices arrives as it is.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    check_square("inv", x)
    return run(xp, "inv", x)


def _solved(x1: Any, x2: Any, x2_shape: Any) -> Any:
    """Solve for columns, or for one vector for each matrix if `solve` was given a single vector."""
    if len(x2_shape) > 1:
        return solve(x1, x2)
    return squeeze(solve(x1, expand_dims(x2, axis=-1)), axis=-1)


def _solve_vjp_x1(g: Any, x1: Any, x2_shape: Any, y: Any) -> Any:
    g = _solved(adjoint(x1), g, x2_shape)
    if len(x2_shape) == 1:
        return -expand_dims(g, axis=-1) * expand_dims(conj(y) if is_complex(y) else y, axis=-2)
    return -matmul(g, adjoint(y))


def _solve_vjp_x2(g: Any, x1: Any, x2_shape: Any) -> Any:
    g = _solved(adjoint(x1), g, x2_shape)
    # One vector for all matrices: the scheduler sums over the leading axes of matrices alone.
    return sum(g, axis=tuple(range(len(g.shape) - 1))) if len(x2_shape) == 1 and len(g.shape) > 1 else g


def _solve_jvp_x1(t: Any, x1: Any, x2_shape: Any, y: Any) -> Any:
    if len(x2_shape) > 1:
        return -solve(x1, matmul(t, y))
    return -squeeze(solve(x1, matmul(t, expand_dims(y, axis=-1))), axis=-1)


def _solve_jvp_x2(t: Any, x1: Any) -> Any:
    return solve(x1, t)


def _of_one_batch(xp: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    """Broadcast the leading axes of matrices, which CuPy's `solve` does not do by itself."""
    ones = max(len(x1.shape), len(x2.shape)) - 2
    batches = [(1,) * (ones - len(x.shape) + 2) + tuple(x.shape[:-2]) for x in (x1, x2)]
    batch = tuple([n if m == 1 else m for m, n in zip(*batches, strict=True)])
    return xp.broadcast_to(x1, (*batch, *x1.shape[-2:])), xp.broadcast_to(x2, (*batch, *x2.shape[-2:]))


@primitive(
    vjps=(_solve_vjp_x1, _solve_vjp_x2),
    jvps=(_solve_jvp_x1, _solve_jvp_x2),
    signature="(m,m),(m,n)->(m,n)",
    samples=[
        sample((3, 3), (3,)),
        sample((2, 3, 3), (3,)),
        sample((3, 3), (3, 2)),
        sample((2, 2, 2), (2, 2, 1)),
        sample((2, 2, 2), (2, 3)),
        sample((2, 2), (3, 2, 1)),
        sample((2, 1, 1), (1,)),
        Sample((Array((2, 2), kind="complex"), Array((2, 1), kind="complex"))),
        Sample((Array((2, 2), kind="complex"), Array((2,), kind="complex"))),
    ],
)
def solve(xp: Any, x1: Any, x2: Any) -> Any:
    """The solution of ``x1 @ y = x2``, where `x2` holds columns, or is one vector if it has one dimension.

    The gradients are ``h = solve(x1^H, g)`` for `x2` and ``-h y^H`` for `x1`.

    Raises
    ------
    ArgumentError
        `x1` is not square. What the library raises for singular matrices arrives as it is.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    check_square("solve", x1)
    if len(x2.shape) > 1 and x1.shape[:-2] != x2.shape[:-2]:
        x1, x2 = _of_one_batch(xp, x1, x2)
    return run(xp, "solve", x1, x2)


@composite(
    samples=[
        sample((2, 2), n=3),
        sample((2, 2, 2), n=2),
        sample((2, 2), n=-1),
        sample((2, 2), n=1),
        sample((2, 2), n=0),
    ]
)
def matrix_power(x: Any, *, n: int) -> Any:
    """Product of `n` factors, all the square matrix `x`; of its inverse for negative `n`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.matrix_power(np.array([[1.0, 1.0], [0.0, 1.0]]), n=5).tolist()
    [[1.0, 5.0], [0.0, 1.0]]
    """
    x = arrayed(x)
    check_square("matrix_power", x)
    if not hasattr(n, "__index__"):
        raise ArgumentTypeError(f"matrix_power: n is a whole number; it was given {n!r:.80}")
    if n == 0:
        return tril(triu(x**0))  # 1 whatever x is, in its dtype; constant in x
    factor, n = (inv(x), -n) if n < 0 else (x, n)
    y: Any = None
    while n:
        if n & 1:
            y = factor if y is None else matmul(y, factor)
        n >>= 1
        factor = matmul(factor, factor) if n else factor
    return y
