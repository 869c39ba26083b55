"""NumPy's ``numpy.linalg`` over the registered ops, as `autodiff.numpy.linalg`: what ``np.linalg.inv(v)`` arrives at."""

from __future__ import annotations

import math
from string import ascii_letters
from typing import Any, NamedTuple

from autodiff.composed import array_of, shape_of, shipped
from autodiff.errors import ArgumentError, unknown_name
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import norm as _norm
from autodiff.spellings import refuse_options, spelling
from autodiff.standard import standard
from autodiff.value import unwrap

__all__ = [
    "cholesky",
    "cond",
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
    "matrix_rank",
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
    "tensorinv",
    "tensorsolve",
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
def cond(x: Any, p: Any = None) -> Any:
    """``numpy.linalg.cond``: of the singular values, or of the norms `p` of the matrix and its inverse."""
    if p in (None, 2, -2):
        s = shipped("svdvals")(x)
        largest, smallest = s[..., 0], s[..., -1]
        return standard.divide(smallest, largest) if p == -2 else standard.divide(largest, smallest)
    return standard.multiply(norm(x, p, axis=(-2, -1)), norm(inv(x), p, axis=(-2, -1)))


@spelled
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:  # noqa: N803  # NumPy's name
    """``numpy.linalg.matrix_rank``: a whole number, hence without a gradient."""
    raw = unwrap(array_of(A))
    own: Any = registry.backend_of(type(raw))
    return own.xp.linalg.matrix_rank(raw, **{k: v for k, v in {"tol": tol, "rtol": rtol}.items() if v is not None})


@spelled
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """``numpy.linalg.tensorsolve``: x with ``tensordot(a, x, x.ndim) == b``."""
    n = len(shape_of(a))
    if axes is not None:
        moved = [axis % n for axis in axes]
        a = standard.permute_dims(a, axes=tuple([k for k in range(n) if k not in moved] + moved))
    shape = shape_of(a)[len(shape_of(b)) :]
    size = math.prod(shape)
    if math.prod(shape_of(b)) != size:
        raise ArgumentError(f"tensorsolve: a has shape {shape_of(a)} and b {shape_of(b)}, which make no square matrix")
    x = shipped("solve")(standard.reshape(a, shape=(size, size)), standard.reshape(b, shape=(size,)))
    return standard.reshape(x, shape=shape)


@spelled
def tensorinv(a: Any, ind: int = 2) -> Any:
    """``numpy.linalg.tensorinv``: the inverse of ``tensordot(a, b, ind)``."""
    shape = shape_of(a)
    if ind <= 0:
        raise ArgumentError(f"tensorinv: ind is {ind!r}; expected a whole number from 1 on")
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if rows != columns:
        raise ArgumentError(f"tensorinv: shape {shape} makes {rows} rows and {columns} columns at ind={ind}")
    return standard.reshape(inv(standard.reshape(a, shape=(rows, columns))), shape=shape[ind:] + shape[:ind])


@spelled
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """``numpy.linalg.trace``: of the last two axes."""
    return shipped("trace")(x if dtype is None else standard.astype(x, dtype=dtype), offset=offset)


@spelled
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """``numpy.linalg.diagonal``: of the last two axes."""
    return shipped("diagonal")(x, offset=offset)


inv = spelled(spelling("inv", "inv(a)"))
norm = spelled(_norm)
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


def __getattr__(name: str) -> Any:
    if name == "LinAlgError":
        return registry.backend().xp.linalg.LinAlgError
    raise unknown_name("autodiff.numpy.linalg", name, __all__)
