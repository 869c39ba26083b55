"""NumPy's ``numpy.linalg`` over the registered ops, as `autodiff.numpy.linalg`: what ``np.linalg.inv(v)`` arrives at."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.errors import ArgumentError
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import norm, refuse_options, spelling
from autodiff.standard import standard

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


def _op(name: str) -> Any:
    return registry.op(f"autodiff_ops.{name}")


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


@spelled
def eigh(a: Any, UPLO: str = "L") -> EighResult:  # noqa: N803  # NumPy's name
    """``numpy.linalg.eigh``, of the Hermitian part of `a`, whatever `UPLO` is."""
    return EighResult(*_op("eigh")(a))


@spelled
def eigvalsh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  # NumPy's name
    """``numpy.linalg.eigvalsh``, of the Hermitian part of `a`, whatever `UPLO` is."""
    return _op("eigvalsh")(a)


@spelled
def slogdet(a: Any) -> SlogdetResult:
    """``numpy.linalg.slogdet``."""
    return SlogdetResult(*_op("slogdet")(a))


@spelled
def qr(a: Any, mode: str = "reduced") -> Any:
    """``numpy.linalg.qr``, with as many columns as there are, or with ``mode="r"`` the triangle alone."""
    if mode not in ("reduced", "r"):
        raise ArgumentError(f"qr(mode={mode!r}) is not supported for Values; only 'reduced' and 'r'")
    result = QRResult(*_op("qr")(a))
    return result.R if mode == "r" else result


@spelled
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """``numpy.linalg.svd``; of matrices that are not square with ``full_matrices=False`` alone.

    The other vectors of a full basis are any, and have no gradient.
    """
    if not compute_uv:
        return _op("svdvals")(a)
    u, s, vh = _op("svd")(a)
    if full_matrices and u.shape[-2] != vh.shape[-1]:
        raise ArgumentError(
            f"svd(full_matrices=True) is not supported for Values of shape {tuple(a.shape)}, which are not square: the "
            f"vectors that it adds have no gradient; pass full_matrices=False"
        )
    return SVDResult(u, s, vh)


@spelled
def cholesky(a: Any, *, upper: bool = False) -> Any:
    """``numpy.linalg.cholesky``, of the Hermitian part of `a`."""
    y = _op("cholesky")(a)
    return standard.conj(_op("matrix_transpose")(y)) if upper else y


@spelled
def pinv(a: Any, rcond: float | None = None, hermitian: bool = False, *, rtol: float | None = None) -> Any:
    """``numpy.linalg.pinv``."""
    return _op("pinv")(a, rtol=rcond if rtol is None else rtol)


@spelled
def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Any, Any, int, Any]:
    """``numpy.linalg.lstsq``: the solution ``pinv(a) @ b``, the sums of squares that are left, the rank, singular values.

    The sums are there if `a` has more rows than columns, and the rank is full.
    """
    if len(a.shape) != 2:
        raise ArgumentError(f"lstsq takes one matrix; a has shape {tuple(a.shape)}")
    rows, columns = a.shape
    values = _op("svdvals")(a)
    ordered = [float(s) for s in getattr(values, "data", values)]
    limit = (rcond if rcond is not None and rcond >= 0 else 2.0**-52 * max(rows, columns)) * max(ordered, default=0.0)
    rank = len([s for s in ordered if s > limit])
    x = standard.matmul(pinv(a, rtol=rcond if rcond is not None and rcond >= 0 else None), b)
    left = standard.subtract(b, standard.matmul(a, x))
    size = standard.abs(left)
    sums = standard.sum(standard.multiply(size, size), axis=0, keepdims=len(b.shape) == 1)
    return x, sums if rank == columns < rows else sums[:0], rank, values


@spelled
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """``numpy.linalg.multi_dot``, from left to right or from right to left, as vectors at the ends have it."""
    refuse_options("multi_dot", out=out)
    factors = list(arrays)
    if len(factors) < 2:
        raise ArgumentError(f"multi_dot takes at least two arrays; it was given {len(factors)}")
    if len(factors[-1].shape) == 1:
        y = factors.pop()
        while factors:
            y = standard.matmul(factors.pop(), y)
        return y
    y = factors.pop(0)
    while factors:
        y = standard.matmul(y, factors.pop(0))
    return y


@spelled
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """``numpy.linalg.trace``: of the last two axes."""
    return _op("trace")(x if dtype is None else standard.astype(x, dtype=dtype), offset=offset)


@spelled
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """``numpy.linalg.diagonal``: of the last two axes."""
    return _op("diagonal")(x, offset=offset)


inv = spelled(spelling("inv", "inv(a)"))
solve = spelled(spelling("solve", "solve(a, b)"))
det = spelled(spelling("det", "det(a)"))
svdvals = spelled(spelling("svdvals", "svdvals(x)"))
matrix_power = spelled(spelling("matrix_power", "matrix_power(a, n)"))
matrix_norm = spelled(spelling("matrix_norm", "matrix_norm(x, keepdims, ord)"))
vector_norm = spelled(spelling("vector_norm", "norm(x, axis, keepdims, ord)"))
matrix_transpose = spelled(spelling("matrix_transpose", "matrix_transpose(x)"))
matmul = spelled(spelling("matmul", "matmul(x1, x2)"))
outer = spelled(spelling("outer", "outer(x1, x2)"))
tensordot = spelled(spelling("tensordot", "tensordot(x1, x2, axes)"))
vecdot = spelled(spelling("vecdot", "vecdot(x1, x2, axis)"))
cross = spelled(spelling("cross", "cross(x1, x2, axis)"))
