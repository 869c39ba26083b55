"""NumPy's ``numpy.linalg`` over the registered ops, as `autodiff.numpy.linalg`: what ``np.linalg.inv(v)`` arrives at."""

from __future__ import annotations

from string import ascii_letters
from typing import Any, NamedTuple

from autodiff.composed import shape_of, shipped
from autodiff.errors import ArgumentError
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import norm, refuse_options, spelling
from autodiff.standard import standard
from autodiff.value import unwrap

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
    return EighResult(*shipped("eigh")(a))


@spelled
def eigvalsh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  # NumPy's name
    """``numpy.linalg.eigvalsh``, of the Hermitian part of `a`, whatever `UPLO` is."""
    return shipped("eigvalsh")(a)


@spelled
def slogdet(a: Any) -> SlogdetResult:
    """``numpy.linalg.slogdet``."""
    return SlogdetResult(*shipped("slogdet")(a))


@spelled
def qr(a: Any, mode: str = "reduced") -> Any:
    """``numpy.linalg.qr``, with as many columns as there are, or with ``mode="r"`` the triangle alone."""
    if mode not in ("reduced", "r"):
        raise ArgumentError(f"qr(mode={mode!r}) is not supported for Values; only 'reduced' and 'r'")
    result = QRResult(*shipped("qr")(a))
    return result.R if mode == "r" else result


@spelled
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """``numpy.linalg.svd``; of matrices that are not square with ``full_matrices=False`` alone.

    The other vectors of a full basis are any, and have no gradient.
    """
    if not compute_uv:
        return shipped("svdvals")(a)
    u, s, vh = shipped("svd")(a)
    if full_matrices and u.shape[-2] != vh.shape[-1]:
        raise ArgumentError(
            f"svd(full_matrices=True) is not supported for Values of shape {tuple(a.shape)}, which are not square: the "
            f"vectors that it adds have no gradient; pass full_matrices=False"
        )
    return SVDResult(u, s, vh)


@spelled
def cholesky(a: Any, *, upper: bool = False) -> Any:
    """``numpy.linalg.cholesky``, of the Hermitian part of `a`."""
    y = shipped("cholesky")(a)
    return standard.conj(shipped("matrix_transpose")(y)) if upper else y


@spelled
def pinv(a: Any, rcond: float | None = None, hermitian: bool = False, *, rtol: float | None = None) -> Any:
    """``numpy.linalg.pinv``."""
    return shipped("pinv")(a, rtol=rcond if rtol is None else rtol)


@spelled
def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Any, Any, int, Any]:
    """``numpy.linalg.lstsq``: the solution ``pinv(a) @ b``, the sums of squares that are left, the rank, singular values.

    The sums are there if `a` has more rows than columns, and the rank is full.
    Singular values below `rcond` times the largest count as 0; by default that is the precision of the dtype times the
    longer side, as in `numpy.linalg.matrix_rank`, where NumPy's own function takes that of float64 for all.
    """
    shape = shape_of(a)
    if len(shape) != 2:
        raise ArgumentError(f"lstsq takes one matrix; a has shape {shape}")
    rows, columns = shape
    values = shipped("svdvals")(a)
    raw = unwrap(values)
    own: Any = registry.backend_of(type(raw))
    rtol = float(own.xp.finfo(raw.dtype).eps) * max(rows, columns) if rcond is None or rcond < 0 else rcond
    ordered = own.to_numpy(raw).tolist()
    rank = len([s for s in ordered if s > rtol * ordered[0]])
    x = standard.matmul(pinv(a, rtol=rtol), b)
    left = standard.subtract(b, standard.matmul(a, x))
    size = standard.abs(left)
    sums = standard.sum(standard.multiply(size, size), axis=0, keepdims=len(shape_of(b)) == 1)
    return x, sums if rank == columns < rows else sums[:0], rank, values


@spelled
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """``numpy.linalg.multi_dot``: of two matrices or more, or vectors at the ends, in the cheapest order."""
    refuse_options("multi_dot", out=out)
    factors = list(arrays)
    last = len(factors) - 1
    if not 1 <= last < len(ascii_letters) - 1:
        raise ArgumentError(f"multi_dot takes at least two arrays, and at most 52; it was given {len(factors)}")
    terms = [ascii_letters[i : i + 2] for i in range(last + 1)]
    terms[0] = terms[0][-len(shape_of(factors[0])) :]
    terms[last] = terms[last][: len(shape_of(factors[last]))]
    result = (terms[0][:-1]) + (terms[last][1:])
    return shipped("einsum")(*factors, subscripts=f"{','.join(terms)}->{result}")


@spelled
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """``numpy.linalg.trace``: of the last two axes."""
    return shipped("trace")(x if dtype is None else standard.astype(x, dtype=dtype), offset=offset)


@spelled
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """``numpy.linalg.diagonal``: of the last two axes."""
    return shipped("diagonal")(x, offset=offset)


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
