"""Inverses, determinants and factors of matrices: the last two axes are matrices, those before are a batch.

Kernels are those of the library's ``linalg`` namespace; half precision is computed in float32. The rules are
those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", Advances in Automatic Differentiation (2008), and, where said, of others.
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, composite, primitive, sample
from autodiff_ops.diagonals import diagonal, tril, triu
from autodiff_ops.elementwise.arithmetic import abs, conj
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import expand_dims, matrix_transpose, reshape
from autodiff_ops.reduction import max, min, others, sum
from autodiff_ops.shapes import arrayed, is_complex, is_half
from autodiff_ops.spread import norm

_COMPLEX = Sample((Array((2, 2), kind="complex"),))
_SQUARE = [sample((3, 3)), sample((2, 2, 2)), sample((1, 1)), _COMPLEX]


def _run(xp: Any, name: str, *xs: Any, **options: Any) -> Any:
    """Call a function of ``xp.linalg``, for half precision in float32 and back."""
    if not is_half(xs[0], xp):
        return getattr(xp.linalg, name)(*xs, **options)
    y = getattr(xp.linalg, name)(*[xp.astype(x, xp.float32) for x in xs], **options)
    several = isinstance(y, tuple)
    return tuple(xp.astype(part, xs[0].dtype) for part in y) if several else xp.astype(y, xs[0].dtype)


def _square(where: str, x: Any) -> None:
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise ArgumentError(f"{where} takes square matrices, of shape (..., n, n); it was given shape {tuple(x.shape)}")


def _h(x: Any) -> Any:
    """Return the conjugate transpose."""
    return matrix_transpose(conj(x) if is_complex(x) else x)


def _diagonals(d: Any, xp: Any) -> Any:
    """Return diagonal matrices."""
    return expand_dims(d, axis=-1) * xp.eye(d.shape[-1], dtype=d.dtype)


def _hermitian(x: Any) -> Any:
    return (x + _h(x)) * 0.5


def _over(x: Any, safe: Any, xp: Any) -> Any:
    """Divide by what is not 0; elsewhere the result is 0."""
    zero = safe == 0
    return xp.where(zero, 0.0, x / xp.where(zero, 1.0, safe))


# ---- inverses and determinants -------------------------------------------------------------------------------


@primitive(vjps=(lambda g, y: -matmul(matmul(_h(y), g), _h(y)),), samples=_SQUARE)
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
    _square("inv", x)
    return _run(xp, "inv", x)


def _solve_vjp_x1(g: Any, x1: Any, y: Any) -> Any:
    g = solve(_h(x1), g)
    if len(y.shape) == 1:
        return -expand_dims(g, axis=-1) * expand_dims(conj(y) if is_complex(y) else y, axis=-2)
    return -matmul(g, _h(y))


@primitive(
    vjps=(_solve_vjp_x1, lambda g, x1: solve(_h(x1), g)),
    signature="(m,m),(m,n)->(m,n)",
    samples=[
        sample((3, 3), (3,)),
        sample((3, 3), (3, 2)),
        sample((2, 2, 2), (2, 2, 1)),
        sample((2, 2, 2), (2, 3)),
        sample((2, 2), (3, 2, 1)),
        Sample((Array((2, 2), kind="complex"), Array((2, 1), kind="complex"))),
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
    _square("solve", x1)
    return _run(xp, "solve", x1, x2)


def _adjugate(x: Any, y: Any, xp: Any) -> Any:
    """Return ``det(x) inv(x)``, which singular matrices have too."""
    if not bool(xp.any(y == 0)):
        return expand_dims(y, axis=(-2, -1)) * inv(x)
    u, s, vh = svd(x)
    rest = expand_dims(others(s, len(s.shape) - 1, xp), axis=-2)
    return expand_dims(det(matmul(u, vh)), axis=(-2, -1)) * matmul(_h(vh) * rest, _h(u))


@primitive(
    vjps=(lambda g, x, y, xp: expand_dims(g, axis=(-2, -1)) * _h(_adjugate(x, y, xp)),),
    samples=[*_SQUARE, sample((0, 0))],
)
def det(xp: Any, x: Any) -> Any:
    """Determinant; the gradient is that of cofactors, ``g conj(y) x^-H``, which singular matrices have too.

    Raises
    ------
    ArgumentError
        `x` is not square.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import grad, ops
    >>> grad(ops.det)(np.array([[1.0, 2.0], [2.0, 4.0]]))
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    _square("det", x)
    return _run(xp, "det", x)


def _slogdet_vjp(g: Any, x: Any, y: Any, xp: Any) -> Any:
    to_sign, to_log = g
    factor: Any = 0.0 if to_log is None else to_log
    if is_complex(x) and to_sign is not None:
        factor = factor + xp.imag(conj(y[0]) * to_sign) * 1j
    if not hasattr(factor, "shape"):  # the sign of a real determinant is constant
        return None
    return expand_dims(factor, axis=(-2, -1)) * _h(inv(x))


@primitive(vjps=(_slogdet_vjp,), samples=_SQUARE)
def slogdet(xp: Any, x: Any) -> Any:
    """Sign of the determinant and logarithm of its absolute value, which neither overflows nor underflows.

    Returns
    -------
    tuple of two arrays
        ``det(x) = sign * exp(logabsdet)``; the gradient of the second is ``g x^-H``.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> sign, logabsdet = autodiff.ops.slogdet(np.diag([-1e200, 1e200]))
    >>> sign.item(), round(logabsdet.item(), 3)
    (-1.0, 921.034)
    """
    _square("slogdet", x)
    return tuple(_run(xp, "slogdet", x))


def _pinv_vjp(g: Any, x: Any, y: Any) -> Any:
    gh, yh = _h(g), _h(y)
    left, right = matmul(y, yh), matmul(yh, y)
    return (
        matmul(gh - matmul(x, matmul(y, gh)), left)
        + matmul(right, gh - matmul(matmul(gh, y), x))
        - matmul(matmul(yh, g), yh)
    )


@primitive(vjps=(_pinv_vjp,), samples=[sample((3, 2)), sample((2, 3)), sample((2, 3, 2)), _COMPLEX])
def pinv(xp: Any, x: Any, *, rtol: float | None = None) -> Any:
    """Moore-Penrose inverse; ``pinv(a) @ b`` solves least squares.

    Singular values below `rtol` times the largest count as 0; None leaves the limit to the library. The gradient
    is right where the rank does not change.

    References
    ----------
    G. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
    variables separate", SIAM Journal on Numerical Analysis 10 (1973).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.pinv(np.array([[2.0], [0.0]])).tolist()
    [[0.5, 0.0]]
    """
    return _run(xp, "pinv", x, **({} if rtol is None else {"rtol": rtol}))


# ---- factors -------------------------------------------------------------------------------------------------


def _cholesky_vjp(g: Any, y: Any, xp: Any) -> Any:
    inner = tril(matmul(_h(y), g))
    inner = inner - _diagonals(diagonal(inner), xp) * 0.5
    half = solve(_h(y), inner)
    return _hermitian(_h(solve(_h(y), _h(half))))


@primitive(
    vjps=(_cholesky_vjp,), samples=[sample(Array((1, 1), 0.5, 2.0)), sample(Array((2, 1, 1), 0.5, 2.0)), sample((0, 0))]
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
    _square("cholesky", x)
    return _run(xp, "cholesky", _hermitian(x))


def _gaps(s: Any, xp: Any) -> Any:
    """Return ``s[j] - s[i]`` in row i, column j."""
    return expand_dims(s, axis=-2) - expand_dims(s, axis=-1)


def _eigh_vjp(g: Any, y: Any, xp: Any) -> Any:
    values, vectors = y
    to_values, to_vectors = g
    inner = 0.0
    if to_vectors is not None:
        inner = _over(matmul(_h(vectors), to_vectors), _gaps(values, xp), xp)
    if to_values is not None:
        inner = inner + _diagonals(to_values, xp)
    return _hermitian(matmul(matmul(vectors, inner), _h(vectors)))


@primitive(vjps=(_eigh_vjp,), samples=[sample((3, 3)), sample((2, 2, 2)), sample((1, 1))])
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
    _square("eigh", x)
    return tuple(_run(xp, "eigh", _hermitian(x)))


@composite(samples=[sample((3, 3)), sample((2, 2, 2)), _COMPLEX])
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
    return x - _h(x)


def _svd_vjp(g: Any, x_dtype: Any, y: Any, xp: Any) -> Any:
    u, s, vh = y
    to_u, to_s, to_vh = g
    row, column = expand_dims(s, axis=-2), expand_dims(s, axis=-1)
    gaps = (row - column) * (row + column)
    inner: Any = 0.0 if to_s is None else _diagonals(to_s, xp)
    if to_u is not None:
        turn = matmul(_h(u), to_u)
        inner = inner + _over(_skew(turn), gaps, xp) * row
        if is_complex(u):
            inner = inner + _diagonals(_over(diagonal(_skew(turn)), 2.0 * s, xp), xp)
    if to_vh is not None:
        inner = inner + column * _over(_skew(matmul(vh, _h(to_vh))), gaps, xp)
    total: Any = matmul(matmul(u, inner), vh) if hasattr(inner, "shape") else 0.0
    if to_u is not None:
        outside = to_u - matmul(u, matmul(_h(u), to_u))
        total = total + matmul(_over(outside, row, xp), vh)
    if to_vh is not None:
        outside = to_vh - matmul(matmul(to_vh, _h(vh)), vh)
        total = total + matmul(u, _over(outside, column, xp))
    return total


@primitive(vjps=(_svd_vjp,), samples=[sample((3, 2)), sample((2, 3)), sample((2, 2)), sample((2, 3, 2))])
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
    return tuple(_run(xp, "svd", x, full_matrices=False))


@composite(samples=[sample((3, 2)), sample((2, 3)), sample((2, 2, 2)), _COMPLEX])
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
        to_q = to_q + matmul(x[..., size:], _h(right))
        to_r, r = to_r[..., :size], r[..., :size]
    inner = matmul(r, _h(to_r)) - matmul(_h(to_q), q)
    lower = tril(inner, k=-1)
    total = to_q + matmul(q, lower + _h(lower) + _diagonals(xp.real(diagonal(inner)), xp))
    total = _h(solve(r, _h(total)))
    return xp.concat((total, matmul(q, right)), axis=-1) if wide else total


@primitive(vjps=(_qr_vjp,), samples=[sample((3, 2)), sample((2, 2)), sample((2, 3)), sample((2, 3, 2)), _COMPLEX])
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
    return tuple(_run(xp, "qr", x, mode="reduced"))


# ---- made of these -------------------------------------------------------------------------------------------


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


@composite(samples=[sample((2, 2), n=3), sample((2, 2, 2), n=2), sample((2, 2), n=-1), sample((2, 2), n=1)])
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
    _square("matrix_power", x)
    if n == 0:
        # The diagonal of x to the power 0, and 0 elsewhere.
        return x * 0.0 + tril(triu(x * 0.0 + 1.0))
    factor, n = (inv(x), -n) if n < 0 else (x, n)
    y: Any = None
    while n:
        if n & 1:
            y = factor if y is None else matmul(y, factor)
        n >>= 1
        factor = matmul(factor, factor) if n else factor
    return y
