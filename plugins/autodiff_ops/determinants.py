"""Determinants and pseudo-inverses: the last two axes are matrices, those before are a batch."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, primitive, sample
from autodiff_ops.diagonals import trace
from autodiff_ops.elementwise.arithmetic import conj
from autodiff_ops.factors import svd
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import expand_dims
from autodiff_ops.reduction import others
from autodiff_ops.shapes import is_complex
from autodiff_ops.solving import COMPLEX, SQUARE, adjoint, check_square, inv, run


def _adjugate(x: Any, y: Any, xp: Any) -> Any:
    """Return ``det(x) inv(x)``, which singular matrices have too."""
    if not bool(xp.any(y == 0)):
        return expand_dims(y, axis=(-2, -1)) * inv(x)
    if hasattr(x, "requires_grad"):
        # In a recorded pass: the vectors of singular matrices have no derivative to go on from.
        return _cofactors(x, xp)
    u, s, vh = svd(x)
    rest = expand_dims(others(s, len(s.shape) - 1, xp), axis=-2)
    return expand_dims(det(matmul(u, vh)), axis=(-2, -1)) * matmul(adjoint(vh) * rest, adjoint(u))


def _cofactors(x: Any, xp: Any) -> Any:
    """Return the adjugate as the polynomial that it is, by the method of Faddeev and LeVerrier.

    References
    ----------
    F. R. Gantmacher, "The theory of matrices" (1959), volume 1, chapter 4, section 5.
    """
    n = x.shape[-1]
    eye = xp.eye(n, dtype=x.dtype)
    total: Any = eye + x * 0.0
    for k in range(1, n):
        total = matmul(x, total)
        total = total - expand_dims(trace(total), axis=(-2, -1)) * eye / k
    return total if n % 2 else -total


@primitive(
    vjps=(lambda g, x, y, xp: expand_dims(g, axis=(-2, -1)) * adjoint(_adjugate(x, y, xp)),),
    samples=[
        *SQUARE,
        sample((0, 0)),
        *(sample(Array(shape, 1.0, 1.0)) for shape in ((2, 2), (3, 2, 2))),  # singular ones
    ],
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
    check_square("det", x)
    return run(xp, "det", x)


def _slogdet_vjp(g: Any, x: Any, y: Any, xp: Any) -> Any:
    to_sign, to_log = g
    factor: Any = 0.0 if to_log is None else to_log
    if is_complex(x) and to_sign is not None:
        factor = factor + xp.imag(conj(y[0]) * to_sign) * 1j
    if not hasattr(factor, "shape"):  # the sign of a real determinant is constant
        return None
    return expand_dims(factor, axis=(-2, -1)) * adjoint(inv(x))


@primitive(vjps=(_slogdet_vjp,), samples=SQUARE)
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
    check_square("slogdet", x)
    return tuple(run(xp, "slogdet", x))


def _pinv_vjp(g: Any, x: Any, y: Any) -> Any:
    gh, yh = adjoint(g), adjoint(y)
    left, right = matmul(y, yh), matmul(yh, y)
    return (
        matmul(gh - matmul(x, matmul(y, gh)), left)
        + matmul(right, gh - matmul(matmul(gh, y), x))
        - matmul(matmul(yh, g), yh)
    )


@primitive(vjps=(_pinv_vjp,), samples=[sample((3, 2)), sample((2, 3)), sample((2, 3, 2)), COMPLEX])
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
    return run(xp, "pinv", x, **({} if rtol is None else {"rtol": rtol}))
