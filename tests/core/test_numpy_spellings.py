"""The functions that NumPy has beside the standard: called alike, with an array and with a Value, they give alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad, to_dot
from autodiff import numpy as anp
from autodiff.errors import ArgumentError, AutodiffError

A = np.array([[3.0, 1.0, 2.0], [0.5, -4.0, 6.0]])
SQUARE = np.array([[3.0, 1.0, 0.5], [1.0, 4.0, -1.0], [0.5, -1.0, 5.0]])
HOLES = np.array([[3.0, np.nan, 2.0], [np.nan, -4.0, 6.0]])

# Each is called with numpy or autodiff.numpy, and an array or a Value.
_CALLS: dict[str, Any] = {
    "atleast_1d": lambda xp, x: xp.atleast_1d(x[0, 0]),
    "atleast_2d": lambda xp, x: xp.atleast_2d(x[0]),
    "atleast_3d": lambda xp, x: xp.atleast_3d(x),
    "atleast_3d vector": lambda xp, x: xp.atleast_3d(x[0]),
    "atleast_3d number": lambda xp, x: xp.atleast_3d(x[0, 0]),
    "column_stack": lambda xp, x: xp.column_stack([x[0], x[1], A.T]),
    "dstack": lambda xp, x: xp.dstack([x, A]),
    "dstack vectors": lambda xp, x: xp.dstack([x[0], A[0]]),
    "append": lambda xp, x: xp.append(x, A),
    "append axis": lambda xp, x: xp.append(x, A, 0),
    "block": lambda xp, x: xp.block([[x, A], [A, x]]),
    "block vectors": lambda xp, x: xp.block([x[0], A[0]]),
    "block mixed": lambda xp, x: xp.block([[x], [A[0]]]),
    "array_split": lambda xp, x: xp.array_split(x, 2, axis=1),
    "array_split places": lambda xp, x: xp.array_split(x, [1], 0),
    "hsplit": lambda xp, x: xp.hsplit(x, 3),
    "hsplit vector": lambda xp, x: xp.hsplit(x[0], [1]),
    "vsplit": lambda xp, x: xp.vsplit(x, 2),
    "dsplit": lambda xp, x: xp.dsplit(xp.dstack([x, x]), 2),
    "delete": lambda xp, x: xp.delete(x, 1, 1),
    "delete several": lambda xp, x: xp.delete(x, [0, -1], axis=1),
    "delete flat": lambda xp, x: xp.delete(x, slice(0, 2)),
    "insert": lambda xp, x: xp.insert(x, 1, 9.0, axis=1),
    "insert several": lambda xp, x: xp.insert(x, [0, 2], [7.0, 8.0], axis=1),
    "insert in order": lambda xp, x: xp.insert(x, [1, 1], [7.0, 8.0], axis=1),
    "insert flat": lambda xp, x: xp.insert(x, 2, 9.0),
    "insert row": lambda xp, x: xp.insert(x, 1, np.array([7.0, 8.0, 9.0]), axis=0),
    "insert column": lambda xp, x: xp.insert(x, 3, np.array([7.0, 8.0]), axis=1),
    "fliplr": lambda xp, x: xp.fliplr(x),
    "flipud": lambda xp, x: xp.flipud(x),
    **{f"rot90 {k}": lambda xp, x, k=k: xp.rot90(x, k) for k in (-1, 0, 1, 2, 3, 5)},
    "rot90 axes": lambda xp, x: xp.rot90(x, 1, (1, 0)),
    **{
        f"rollaxis {k}": lambda xp, x, k=k: xp.rollaxis(xp.dstack([x, x]), k[0], k[1]) for k in ((2, 0), (0, 3), (1, 1))
    },
    "copy": lambda xp, x: xp.copy(x),
    "diag": lambda xp, x: xp.diag(x),
    "diag above": lambda xp, x: xp.diag(x, 1),
    **{f"diag of {k}": lambda xp, x, k=k: xp.diag(x[0], k) for k in (-2, -1, 0, 1)},
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x[0], A)[0],
    "select": lambda xp, x: xp.select([A > 2, A < 0], [x, x * x], 7.0),
    "compress": lambda xp, x: xp.compress([True, False, True], x, axis=1),
    "extract": lambda xp, x: xp.extract(A > 1, x),
    "vdot": lambda xp, x: xp.vdot(x, A),
    "matvec": lambda xp, x: xp.matvec(x, A[0]),
    "vecmat": lambda xp, x: xp.vecmat(A[:, 0], x),
    "average": lambda xp, x: xp.average(x, axis=0),
    "average weights": lambda xp, x: xp.average(x, axis=1, weights=[1.0, 2.0, 3.0]),
    "median": lambda xp, x: xp.median(x, 1),
    "median all": lambda xp, x: xp.median(x),
    "quantile": lambda xp, x: xp.quantile(x, 0.3, 1),
    "quantile several": lambda xp, x: xp.quantile(x, [0.1, 0.9], axis=0, keepdims=True),
    **{f"quantile {m}": lambda xp, x, m=m: xp.quantile(x, 0.3, method=m) for m in ("lower", "higher", "midpoint")},
    "percentile": lambda xp, x: xp.percentile(x, 75, axis=1),
    "percentile several": lambda xp, x: xp.percentile(x, (25, 75)),
    "ptp": lambda xp, x: xp.ptp(x, axis=0),
    **{
        f: lambda xp, x, f=f: getattr(xp, f)(x + HOLES, axis=1)
        for f in ("nanmax", "nanmin", "nanprod", "nanvar", "nanstd")
    },
    "nanstd ddof": lambda xp, x: xp.nanstd(x + HOLES, ddof=1),
    "cov": lambda xp, x: xp.cov(x),
    "cov columns": lambda xp, x: xp.cov(x, rowvar=False, bias=True),
    "cov vector": lambda xp, x: xp.cov(x[0]),
    "cov of two": lambda xp, x: xp.cov(x[0], A[1]),
    "corrcoef": lambda xp, x: xp.corrcoef(x),
    "corrcoef of two": lambda xp, x: xp.corrcoef(x[0], A[1]),
    "trapezoid": lambda xp, x: xp.trapezoid(x),
    "trapezoid points": lambda xp, x: xp.trapezoid(x, np.array([0.0, 1.0, 3.0])),
    "trapezoid columns": lambda xp, x: xp.trapezoid(x, np.array([0.0, 2.0]), axis=0),
    "trapezoid width": lambda xp, x: xp.trapezoid(x, dx=0.5, axis=0),
    "diff": lambda xp, x: xp.diff(x),
    "diff ends": lambda xp, x: xp.diff(x, prepend=0.0, append=x[:, :1], axis=1),
    **{
        f"{f} {m} {n}": lambda xp, x, f=f, m=m, n=n: getattr(xp, f)(
            x[0, :n], np.array([1.0, -2.0, 0.5, 3.0][: 6 - n]), m
        )
        for f in ("convolve", "correlate")
        for m in ("full", "same", "valid")
        for n in (1, 2, 3)
    },
    "interp": lambda xp, x: xp.interp(x, [-1.0, 0.0, 2.5, 4.0], [1.0, 5.0, -2.0, 0.0]),
    "interp one": lambda xp, x: xp.interp(x, [1.0], [5.0]),
    "cross": lambda xp, x: xp.cross(x, A[::-1]),
    **{
        f"pad {m}": lambda xp, x, m=m: xp.pad(x, ((1, 3), (2, 5)), mode=m)
        for m in ("edge", "reflect", "symmetric", "wrap")
    },
    "pad constants": lambda xp, x: xp.pad(x, ((1, 2), (0, 1)), constant_values=((1.0, 2.0), (3.0, 4.0))),
    "pad two constants": lambda xp, x: xp.pad(x, 2, constant_values=[5, 6]),
    "pad one": lambda xp, x: xp.pad(x[:1], 2, mode="reflect"),
    "pad pair": lambda xp, x: xp.pad(x, (1, 0), mode="wrap"),
    "fmod": lambda xp, x: xp.fmod(x, -1.3),
    "fmax": lambda xp, x: xp.fmax(x, HOLES),
    "fmin": lambda xp, x: xp.fmin(x, HOLES),
    "degrees": lambda xp, x: xp.degrees(xp.radians(x * 2)),
    "sinc": lambda xp, x: xp.sinc(x - 3.0),
    "logaddexp2": lambda xp, x: xp.logaddexp2(x, A.T[0, 0]),
    "float_power": lambda xp, x: xp.float_power(abs(x), 2.0),
    "fabs": lambda xp, x: xp.fabs(x),
    "quantile table": lambda xp, x: xp.quantile(x, np.array([[0.2, 0.5, 1.0], [0.0, 0.7, 0.9]]), axis=1),
    "percentile table": lambda xp, x: xp.percentile(x, [[20, 50], [0, 70]]),
    "average returned": lambda xp, x: xp.average(x, axis=0, weights=[1.0, 3.0], returned=True)[0],
    "meshgrid sparse": lambda xp, x: xp.meshgrid(x[0], x[1], sparse=True),
    "meshgrid sparse ij": lambda xp, x: xp.meshgrid(x[0], x[1], x[0], sparse=True, indexing="ij"),
    "cov of one": lambda xp, x: xp.cov(x[:1]),
    "vecmat of none": lambda xp, x: xp.sum(xp.vecmat(x[:, :0], x[:0])) + x,
    "heaviside": lambda xp, x: xp.heaviside(x - 3.0, 0.5),
    **{
        f"linalg.{f}": lambda xp, x, f=f: getattr(xp.linalg, f)(x[:, :2] if f != "pinv" else x)
        for f in ("inv", "det", "pinv", "svdvals")
    },
    "linalg.solve": lambda xp, x: xp.linalg.solve(x[:, :2], A),
    "linalg.slogdet": lambda xp, x: xp.linalg.slogdet(x[:, :2]).logabsdet,
    "linalg.cholesky": lambda xp, x: xp.linalg.cholesky(SQUARE * x[0, 0]),
    "linalg.cholesky upper": lambda xp, x: xp.linalg.cholesky(SQUARE * x[0, 0], upper=True),
    "linalg.eigh": lambda xp, x: xp.linalg.eigh(SQUARE * x[0, 0]).eigenvalues,
    "linalg.eigvalsh": lambda xp, x: xp.linalg.eigvalsh(SQUARE * x[0, 0]),
    "linalg.svd": lambda xp, x: xp.linalg.svd(x, full_matrices=False).S,
    "linalg.svd values": lambda xp, x: xp.linalg.svd(x, compute_uv=False),
    "linalg.qr": lambda xp, x: xp.linalg.qr(x).R,
    "linalg.qr r": lambda xp, x: xp.linalg.qr(x, mode="r"),
    "linalg.norm": lambda xp, x: xp.linalg.norm(x),
    "linalg.matrix_norm": lambda xp, x: xp.linalg.matrix_norm(x, ord="nuc"),
    "linalg.norm nuc": lambda xp, x: xp.linalg.norm(x, "nuc"),
    "linalg.norm 2": lambda xp, x: xp.linalg.norm(xp.stack([x, x]), 2, axis=(1, 2), keepdims=True),
    "linalg.norm axes": lambda xp, x: xp.linalg.norm(xp.stack([x, x], axis=1), 1, axis=(0, 2)),
    "linalg.matrix_power": lambda xp, x: xp.linalg.matrix_power(x[:, :2], 3),
    "linalg.multi_dot": lambda xp, x: xp.linalg.multi_dot([x, A.T, x]),
    "linalg.multi_dot vector": lambda xp, x: xp.linalg.multi_dot([x, A.T, A[:, 0]]),
    "linalg.trace": lambda xp, x: xp.linalg.trace(xp.stack([x, x])),
    "linalg.diagonal": lambda xp, x: xp.linalg.diagonal(xp.stack([x, x]), offset=1),
    "linalg.cross": lambda xp, x: xp.linalg.cross(x, A),
    **{f"linalg.lstsq {i}": lambda xp, x, i=i: xp.linalg.lstsq(x.T, SQUARE, rcond=None)[i] for i in (0, 1, 3)},
    **{
        f"fft.{f}": lambda xp, x, f=f: getattr(xp.fft, f)(x)
        for f in ("fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "fftn")
    },
    "fft.fft n": lambda xp, x: xp.fft.fft(x, 4, 0, "ortho"),
    "fft.ifftn": lambda xp, x: xp.fft.ifftn(x, s=(3, 2), axes=(0, 1)),
    "fft.fftshift": lambda xp, x: xp.fft.fftshift(x),
    "fft.ifftshift": lambda xp, x: xp.fft.ifftshift(x, axes=[1]),
}


def _first(y: Any) -> Any:
    return y[-1] if isinstance(y, tuple | list) else y


@pytest.mark.parametrize("name", _CALLS)
def test_results_are_numpys(name: str) -> None:
    """By autodiff.numpy and through NumPy's protocols."""
    call = _CALLS[name]
    expected = call(np, A)
    for xp in (anp, np):
        if xp is np and name in ("block", "block vectors", "block mixed"):
            continue  # numpy.block finds Values inside lists of lists, and makes arrays of them
        found = call(xp, Value(A))
        if isinstance(expected, tuple | list):
            assert len(found) == len(expected)
        y = _first(found)
        assert type(y) is Value, name
        np.testing.assert_allclose(y.data, _first(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", _CALLS)
def test_gradients_flow(name: str) -> None:
    """The derivative along a line, by a central difference."""
    if name in ("heaviside", "interp one"):
        pytest.skip("it is constant")
    call = _CALLS[name]
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(np.shape(_first(call(np, A))))
    weight = weight + 1j * rng.standard_normal(weight.shape)
    along = rng.standard_normal(A.shape)

    def f(x: Any) -> Any:
        y = _first(call(anp, x))
        return (anp.real(y * weight)).sum()

    step = 1e-6
    numeric = (f(A + step * along) - f(A - step * along)) / (2 * step)

    np.testing.assert_allclose((grad(f)(A) * along).sum(), numeric, rtol=1e-6, atol=1e-6)


_WRONG = {
    "svd": (anp.linalg.svd, "full_matrices=False"),
    "qr": (lambda v: anp.linalg.qr(v, "complete"), "complete"),
    "multi_dot": (lambda v: anp.linalg.multi_dot([v]), "at least two"),
    "lstsq": (lambda v: anp.linalg.lstsq(anp.stack([v, v]), v), "one matrix"),
    "quantile": (lambda v: anp.quantile(v, 1.5), "1.5"),
    "quantile method": (lambda v: anp.quantile(v, 0.5, method="weibull"), "weibull"),
    "quantile of none": (lambda v: anp.median(v[:0]), "no elements"),
    "average": (lambda v: anp.average(v, weights=np.ones(3)), "axis"),
    "cov": (lambda v: anp.cov(anp.stack([v, v])), "one or two dimensions"),
    "cov weights": (lambda v: anp.cov(v, fweights=[1]), "fweights"),
    "convolve": (lambda v: anp.convolve(v, v), "vectors"),
    "convolve mode": (lambda v: anp.convolve(v[0], v[0], "circular"), "circular"),
    "interp": (lambda v: anp.interp(v, [0.0, 1.0], [1.0]), "one length"),
    "cross": (lambda v: anp.cross(v[:, :1], v[:, :1]), "expected 3"),
    "pad": (lambda v: anp.pad(v, 1, mode="empty"), "reflect"),
    "pad empty": (lambda v: anp.pad(v[:0], 1, mode="edge"), "none"),
    "diag": (lambda v: anp.diag(anp.stack([v, v])), "one or two"),
    "delete": (lambda v: anp.delete(v, 7, 0), "7"),
    "insert": (lambda v: anp.insert(v, 7, 1.0, 0), "7"),
    "select": (lambda v: anp.select([A > 0], [v, v]), "1 conditions"),
    "broadcast_arrays": (lambda v: anp.broadcast_arrays(v, np.ones(2)), "broadcast"),
    "fft": (lambda v: anp.fft.fft(v, norm="half"), "'ortho'"),
    "fftn": (lambda v: anp.fft.fftn(v, s=(2,), axes=(0, 1)), "one for each"),
    "trapezoid": (lambda v: anp.diff(v, n=-1), "-1"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_calls_are_explained(name: str) -> None:
    """The message has what was given, or what to do."""
    call, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        call(Value(A))


def test_frequencies_are_values() -> None:
    """They are made, and need no gradient."""
    assert anp.fft.fftfreq(4, 0.5).data.tolist() == np.fft.fftfreq(4, 0.5).tolist()
    assert not anp.fft.rfftfreq(4).requires_grad


def test_the_rank_of_least_squares() -> None:
    """As NumPy tells it, and no sums of squares where it is not full."""
    a = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    x, sums, rank, _ = anp.linalg.lstsq(Value(a), np.ones(3))
    expected = np.linalg.lstsq(a, np.ones(3))

    np.testing.assert_allclose(x.data, expected[0])
    assert (rank, sums.shape) == (expected[2], (0,))
    with pytest.raises(ArgumentError, match="square"):
        anp.linalg.inv(Value(a))


def test_the_rank_of_least_squares_goes_by_the_dtype() -> None:
    """What float32 rounds off counts as 0, in the rank as in the solution; a limit that is given counts for both."""
    rng = np.random.default_rng(0)
    a = (rng.standard_normal((6, 2)) @ rng.standard_normal((2, 3))).astype(np.float32)
    b = rng.standard_normal(6).astype(np.float32)
    # NumPy computes in float64 even here; its limit is told the precision that the numbers have.
    by_dtype = 6 * float(np.finfo(np.float32).eps)
    for given, rcond, limit in ((a, None, by_dtype), (np.diag([1.0, 0.1]), 0.5, 0.5), (np.diag([1.0, 1e-17]), -1, -1)):
        x, _, rank, _ = anp.linalg.lstsq(Value(given), b[: len(given)], rcond=rcond)
        expected = np.linalg.lstsq(given, b[: len(given)], rcond=limit)
        assert rank == expected[2]
        np.testing.assert_allclose(x.data, expected[0], rtol=1e-4)


def test_matrices_are_multiplied_in_the_cheapest_order() -> None:
    """A column, a row and a column: from left to right there would be a whole matrix in between."""
    v = Value(np.ones((9, 1)))
    y = anp.linalg.multi_dot([v, v.T, v])
    assert (y.shape, "(9, 9)" in to_dot(y)) == ((9, 1), False)
    assert anp.linalg.multi_dot([v[:, 0], v]).shape == (1,)
    assert anp.linalg.multi_dot([v[:, 0], v, v.T, v[:, 0]]).shape == ()
