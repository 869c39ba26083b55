"""Factors of matrices: the last two axes are matrices, those before are a batch.

Kernels are those of the library's ``linalg`` namespace; half precision is computed in float32.
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, composite, primitive, sample
from autodiff_ops.diagonals import diagonal, tril
from autodiff_ops.elementwise.arithmetic import abs
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import expand_dims, reshape
from autodiff_ops.reduction import max, min, sum
from autodiff_ops.shapes import arrayed, is_complex
from autodiff_ops.solving import COMPLEX, adjoint, check_square, run, solve
from autodiff_ops.spread import norm


def _diagonals(d: Any, xp: Any) -> Any:
    """Return diagonal matrices."""
    return expand_dims(d, axis=-1) * xp.eye(d.shape[-1], dtype=d.dtype)


def _hermitian(x: Any) -> Any:
    return (x + adjoint(x)) * 0.5


def _over(x: Any, safe: Any, xp: Any) -> Any:
    """Divide by what is not 0; elsewhere the result is 0."""
    zero = safe == 0
    return xp.where(zero, 0.0, x / xp.where(zero, 1.0, safe))


def _cholesky_vjp(g: Any, y: Any, xp: Any) -> Any:
    inner = tril(matmul(adjoint(y), g))
    inner = inner - _diagonals(diagonal(inner), xp) * 0.5
    half = solve(adjoint(y), inner)
    return _hermitian(adjoint(solve(adjoint(y), adjoint(half))))


@primitive(
    vjps=(_cholesky_vjp,),
    samples=[
        *(Sample((Array(shape, definite=True),)) for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0))),
        Sample((Array((2, 2), kind="complex", definite=True),)),
    ],
)
def cholesky(xp: Any, x: Any) -> Any:
    """Lower triangular `y` with ``y y^H = x``, for positive definite matrices.

    The Hermitian part of `x` is factored, ``(x + x^H) / 2``: the gradient is Hermitian too.

    References
    ----------
    I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527 (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    check_square("cholesky", x)
    return run(xp, "cholesky", _hermitian(x))


def _gaps(s: Any, xp: Any) -> Any:
    """Return ``s[j] - s[i]`` in row i, column j."""
    return expand_dims(s, axis=-2) - expand_dims(s, axis=-1)


def _eigh_vjp(g: Any, y: Any, xp: Any) -> Any:
    values, vectors = y
    to_values, to_vectors = g
    inner = 0.0
    if to_vectors is not None:
        inner = _over(matmul(adjoint(vectors), to_vectors), _gaps(values, xp), xp)
    if to_values is not None:
        inner = inner + _diagonals(to_values, xp)
    return _hermitian(matmul(matmul(vectors, inner), adjoint(vectors)))


@primitive(
    vjps=(_eigh_vjp,),
    samples=[sample((3, 3)), sample((2, 2, 2)), sample((1, 1))],
    invariants=lambda values, vectors: (values, abs(vectors), vectors * values[..., None, :] @ adjoint(vectors)),
)
def eigh(xp: Any, x: Any) -> Any:
    """Eigenvalues, ascending, and eigenvectors, as columns, of Hermitian matrices.

    The Hermitian part of `x` is taken, ``(x + x^H) / 2``: the gradient is Hermitian too.

    Returns
    -------
    tuple of two arrays
        Of shapes (..., n) and (..., n, n).

    Notes
    -----
    Eigenvectors are differentiable where the eigenvalues differ. Where two are equal, any basis of their space
    would do: what the formula divides by the difference is left out, which is right for functions that do not
    depend on the basis. The phase of a complex vector is arbitrary, and functions of it have no gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> values, vectors = autodiff.ops.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> values
    array([1., 3.])
    """
    check_square("eigh", x)
    return tuple(run(xp, "eigh", _hermitian(x)))


@composite(samples=[sample((3, 3)), sample((2, 2, 2)), COMPLEX])
def eigvalsh(x: Any) -> Any:
    """Eigenvalues of Hermitian matrices, ascending: the first part of `eigh`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([1., 3.])
    """
    return eigh(x)[0]


def _skew(x: Any) -> Any:
    return x - adjoint(x)


def _svd_vjp(g: Any, x_dtype: Any, y: Any, xp: Any) -> Any:
    u, s, vh = y
    to_u, to_s, to_vh = g
    row, column = expand_dims(s, axis=-2), expand_dims(s, axis=-1)
    gaps = (row - column) * (row + column)
    inner: Any = 0.0 if to_s is None else _diagonals(to_s, xp)
    if to_u is not None:
        turn = matmul(adjoint(u), to_u)
        inner = inner + _over(_skew(turn), gaps, xp) * row
        if is_complex(u):
            inner = inner + _diagonals(_over(diagonal(_skew(turn)), 2.0 * s, xp), xp)
    if to_vh is not None:
        inner = inner + column * _over(_skew(matmul(vh, adjoint(to_vh))), gaps, xp)
    total = matmul(matmul(u, inner), vh)
    if to_u is not None:
        outside = to_u - matmul(u, matmul(adjoint(u), to_u))
        total = total + matmul(_over(outside, row, xp), vh)
    if to_vh is not None:
        outside = to_vh - matmul(matmul(to_vh, adjoint(vh)), vh)
        total = total + matmul(u, _over(outside, column, xp))
    return total


@primitive(
    vjps=(_svd_vjp,),
    samples=[
        *(sample((3, 2)), sample((2, 3)), sample((2, 2)), sample((2, 3, 2))),
        *(Sample((Array(shape, kind="complex"),)) for shape in ((2, 2), (3, 2), (2, 3))),
    ],
    invariants=lambda u, s, vh: (s, abs(u), abs(vh), u * s[..., None, :] @ vh),
)
def svd(xp: Any, x: Any) -> Any:
    """Singular values, descending, and vectors: ``x = u @ (s[..., None] * vh)``, without the vectors of 0 outside.

    Returns
    -------
    tuple of three arrays
        Of shapes (..., m, k), (..., k) and (..., k, n), where k is the smaller of m and n.

    Notes
    -----
    The vectors are differentiable where the singular values differ and are not 0; what the formula divides by
    their difference is left out where it is 0. The phase of a pair of complex vectors is arbitrary, and
    functions of it have no gradient.

    References
    ----------
    J. Townsend, "Differentiating the singular value decomposition" (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> u, s, vh = autodiff.ops.svd(np.array([[3.0, 0.0], [0.0, 4.0]]))
    >>> s
    array([4., 3.])
    """
    return tuple(run(xp, "svd", x, full_matrices=False))


@composite(samples=[sample((3, 2)), sample((2, 3)), sample((2, 2, 2)), COMPLEX])
def svdvals(x: Any) -> Any:
    """Singular values, descending: the second part of `svd`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.svdvals(np.array([[3.0, 0.0], [0.0, 4.0]]))
    array([4., 3.])
    """
    return svd(x)[1]


def _qr_vjp(g: Any, x: Any, y: Any, xp: Any) -> Any:
    q, r = y
    to_q, to_r = g
    to_q = q * 0.0 if to_q is None else to_q
    to_r = r * 0.0 if to_r is None else to_r
    size = r.shape[-2]
    wide = r.shape[-1] > size
    if wide:  # the columns on the right are q times those of r, and follow
        right = to_r[..., size:]
        to_q = to_q + matmul(x[..., size:], adjoint(right))
        to_r, r = to_r[..., :size], r[..., :size]
    inner = matmul(r, adjoint(to_r)) - matmul(adjoint(to_q), q)
    lower = tril(inner, k=-1)
    total = to_q + matmul(q, lower + adjoint(lower) + _diagonals(xp.real(diagonal(inner)), xp))
    total = adjoint(solve(r, adjoint(total)))
    return xp.concat((total, matmul(q, right)), axis=-1) if wide else total


@primitive(
    vjps=(_qr_vjp,),
    samples=[sample((3, 2)), sample((2, 2)), sample((2, 3)), sample((2, 3, 2)), sample((2, 2, 3)), COMPLEX],
    invariants=lambda q, r: (abs(q), abs(r), q @ r),
)
def qr(xp: Any, x: Any) -> Any:
    """Orthonormal columns `q` and an upper triangle `r` with ``q @ r = x``; q has the smaller of m and n columns.

    The gradient needs the first of these columns of `x` to be independent.

    Returns
    -------
    tuple of two arrays
        Of shapes (..., m, k) and (..., k, n).

    References
    ----------
    H.-J. Liao, J.-G. Liu, L. Wang, T. Xiang, "Differentiable programming tensor networks", Physical Review X 9
    (2019).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> q, r = autodiff.ops.qr(np.array([[3.0], [4.0]]))
    >>> abs(r).tolist()
    [[5.0]]
    """
    return tuple(run(xp, "qr", x, mode="reduced"))


@composite(
    samples=[sample((2, 3), ord="fro"), *(sample((3, 2), ord=p) for p in (1, -1, "nuc", 2)), sample((2, 2, 3), ord=-2)]
)
def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of matrices, the last two axes.

    Parameters
    ----------
    x : array
        Any shape of at least two dimensions.
    keepdims : bool
        Whether to leave axes of size 1.
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        The root of the sum of squares, the sum of singular values, the largest and the smallest sum of a column,
        singular value, sum of a row.

    Raises
    ------
    ArgumentError
        `ord` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.matrix_norm(np.array([[1.0, -2.0], [3.0, 0.0]]), ord=1).item()
    4.0
    """
    x = arrayed(x)
    infinite = float("inf")
    if ord == "fro":
        y = norm(x, axis=(-2, -1))
    elif ord == "nuc":
        y = sum(svdvals(x), axis=-1)
    elif ord in (2, -2):
        y = (max if ord > 0 else min)(svdvals(x), axis=-1)
    elif ord in (1, -1, infinite, -infinite):
        y = (max if ord > 0 else min)(sum(abs(x), axis=-2 if ord in (1, -1) else -1), axis=-1)
    else:
        raise ArgumentError(
            f"matrix_norm: ord is 'fro', 'nuc', 1, 2, inf, or one of these negated; it was given {ord!r}"
        )
    return reshape(y, shape=(*y.shape, 1, 1)) if keepdims else y
