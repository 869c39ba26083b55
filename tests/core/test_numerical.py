"""NumPy's functions of numerical work: with an array and with a Value they give alike, and gradients are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad, hessian, vmap
from autodiff import numpy as anp
from autodiff.errors import AutodiffError, UnknownOpError

A = np.array([[3.0, 1.0, 2.0, 0.7], [0.5, -4.0, 6.0, 5.0], [2.5, 7.0, -1.5, -2.0]])
HOLES = np.array([[0.0, np.nan, 0.0, 0.0], [np.nan, 0.0, np.nan, 0.0], [0.0, 0.0, 0.0, 0.0]])
PLACES = np.array([0.0, 0.5, 2.0, 2.25])
ROWS = np.array([0.0, 1.0, 1.5])

# Each is called with numpy or autodiff.numpy, and an array or a Value.
_CALLS: dict[str, Any] = {
    "gradient": lambda xp, x: xp.gradient(x),
    "gradient spacing": lambda xp, x: xp.gradient(x, 0.5, axis=1),
    "gradient places": lambda xp, x: xp.gradient(x, PLACES, axis=-1),
    "gradient places 2": lambda xp, x: xp.gradient(x, PLACES, axis=1, edge_order=2),
    "gradient edges": lambda xp, x: xp.gradient(x, 2.0, 0.5, edge_order=2)[0],
    "gradient axes": lambda xp, x: xp.gradient(x, ROWS, 0.5, axis=(0, 1))[1],
    "gradient two": lambda xp, x: xp.gradient(x[0, :2]),
    "ediff1d": lambda xp, x: xp.ediff1d(x),
    "ediff1d ends": lambda xp, x: xp.ediff1d(x, to_begin=x[0], to_end=-1.0),
    "unwrap": lambda xp, x: xp.unwrap(3 * x),
    "unwrap axis": lambda xp, x: xp.unwrap(x, axis=0, period=2.3),
    "unwrap discont": lambda xp, x: xp.unwrap(2 * x, discont=7.0),
    "polyval": lambda xp, x: xp.polyval(x[0], x),
    "polyval points": lambda xp, x: xp.polyval(x[1], PLACES),
    "vander": lambda xp, x: xp.vander(x[0]),
    "vander increasing": lambda xp, x: xp.vander(x[1], 3, increasing=True),
    "partition": lambda xp, x: xp.sort(xp.partition(x, 2, axis=0), axis=0),
    "unique": lambda xp, x: xp.unique(xp.concatenate([x, x])),
    "cov weights": lambda xp, x: xp.cov(x, aweights=PLACES + 0.5, fweights=[1, 2, 1, 3]),
    "cov columns": lambda xp, x: xp.cov(x.T, rowvar=False, aweights=PLACES + 0.5, ddof=0),
    "cov of one": lambda xp, x: xp.cov(x[0], fweights=np.array([1, 2, 1, 3])),
    "cov of two": lambda xp, x: xp.cov(x[0], x[1], aweights=PLACES + 0.5, bias=True),
    "interp ends": lambda xp, x: xp.interp(x + 0.03, PLACES, np.array([1.0, -1.0, 4.0, 2.0]), left=-7.0, right=9.0),
    "interp period": lambda xp, x: xp.interp(x + 0.03, np.array([2.0, 0.3, 1.0, 3.1]), PLACES, period=3.45),
    "cross axes": lambda xp, x: xp.cross(x, x[:, ::-1] ** 2, 0, 0, 1),
    "cross axis": lambda xp, x: xp.cross(x, x[:, ::-1] ** 2, axis=0),
    "cross places": lambda xp, x: xp.cross(x[:, :3], x[:, 1:] ** 2, axisa=0, axisb=1, axisc=0),
    "unique_all": lambda xp, x: xp.unique_all(xp.concatenate([x, x])).values,
    "unique_counts": lambda xp, x: xp.unique_counts(xp.concatenate([x, x])).values,
    "unique_inverse": lambda xp, x: xp.unique_inverse(xp.concatenate([x, x])).values,
    "unique_values": lambda xp, x: xp.unique_values(xp.concatenate([x, x])),
    "unique axis": lambda xp, x: xp.unique(xp.concatenate([x, x]), axis=0),
    "nan_to_num": lambda xp, x: xp.nan_to_num(x + HOLES, nan=-1.5),
    "nan_to_num infinite": lambda xp, x: xp.nan_to_num(x / np.array([1.0, 0.0, 1.0, 1.0]), posinf=9.0, neginf=-8.0),
    "nancumsum": lambda xp, x: xp.nancumsum(x + HOLES, axis=1),
    "nancumprod": lambda xp, x: xp.nancumprod(x + HOLES),
    "nanmedian": lambda xp, x: xp.nanmedian(x + HOLES),
    "nanmedian axis": lambda xp, x: xp.nanmedian(x + HOLES, axis=1, keepdims=True),
    "nanquantile": lambda xp, x: xp.nanquantile(x + HOLES, 0.3, axis=0),
    "nanquantile several": lambda xp, x: xp.nanquantile(x + HOLES, [0.1, 1.0], axis=(1, 0)),
    "nanpercentile": lambda xp, x: xp.nanpercentile(x + HOLES, 75, axis=-1),
    "nanpercentile several": lambda xp, x: xp.nanpercentile(x + HOLES, (25, 75), axis=1, keepdims=True),
    "modf": lambda xp, x: xp.modf(x * 1.3)[0],
    "divmod": lambda xp, x: xp.divmod(x, 1.7)[1],
    "bincount": lambda xp, x: xp.bincount(np.array([3, 0, 3, 1]), weights=x[0], minlength=6),
    "bincount of a list": lambda xp, x: xp.bincount([3, 0, 3, 1], weights=x[0]),
    "diagflat": lambda xp, x: xp.diagflat(x[:2, :2], 1),
    "logspace": lambda xp, x: xp.logspace(x[0, 1], x[0, 2], 4),
    "logspace base": lambda xp, x: xp.logspace(0.0, x[0, 1], 3, base=2.0),
    "apply_along_axis": lambda xp, x: xp.apply_along_axis(lambda row: row * row.sum(), 0, x),
    "apply_along_axis number": lambda xp, x: xp.apply_along_axis(lambda row: row[0] * row[1], 1, x),
    "linalg.cond": lambda xp, x: xp.linalg.cond(x),
    **{f"linalg.cond {p}": lambda xp, x, p=p: xp.linalg.cond(x[:, :3], p) for p in (1, -2, "fro", np.inf)},
    "linalg.tensorinv": lambda xp, x: xp.linalg.tensorinv(x[:, 1:].reshape(3, 3, 1), ind=1),
    "linalg.tensorsolve": lambda xp, x: xp.linalg.tensorsolve(x[:2].reshape(2, 2, 2)[0].reshape(2, 1, 2), A[:2, :1]),
    "linalg.tensorsolve axes": lambda xp, x: xp.linalg.tensorsolve(x[:, :3].reshape(3, 3, 1), A[0, :3], axes=(1,)),
    "fft.rfftn": lambda xp, x: xp.fft.rfftn(x),
    "fft.rfftn s": lambda xp, x: xp.fft.rfftn(x, s=(2, 5), axes=(1, 0), norm="ortho"),
    "fft.rfftn one": lambda xp, x: xp.fft.rfftn(x, axes=(0,)),
    "fft.rfft2": lambda xp, x: xp.fft.rfft2(x),
    "fft.irfftn": lambda xp, x: xp.fft.irfftn(x * (1 + 0.5j)),
    "fft.irfftn s": lambda xp, x: xp.fft.irfftn(x * (1 + 0.5j), s=(4, 5), axes=(0, 1), norm="forward"),
    "fft.irfft2": lambda xp, x: xp.fft.irfft2(x * (1 - 2j)),
    "fft.hfft": lambda xp, x: xp.fft.hfft(x * (1 - 2j), 5, norm="ortho"),
    "fft.ihfft": lambda xp, x: xp.fft.ihfft(x),
}


def _last(y: Any) -> Any:
    return y[-1] if isinstance(y, tuple | list) else y


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", _CALLS)
def test_results_are_numpys(name: str) -> None:
    """By autodiff.numpy, of a Value and of an array, and through NumPy's protocols."""
    call = _CALLS[name]
    expected = call(np, A)
    for xp, x in ((anp, Value(A)), (np, Value(A)), (anp, A)):
        if name.startswith("logspace") and xp is np:
            continue  # numpy.logspace makes arrays of its ends
        found = call(xp, x)
        if isinstance(expected, tuple | list):
            assert len(found) == len(expected)
        y = _last(found)
        assert type(y) is Value or type(x) is not Value, name
        np.testing.assert_allclose(getattr(y, "data", y), _last(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", _CALLS)
def test_gradients_flow(name: str) -> None:
    """The derivative along a line, by a central difference."""
    call = _CALLS[name]
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(np.shape(_last(call(np, A))))
    weight = weight + 1j * rng.standard_normal(weight.shape)
    along = rng.standard_normal(A.shape)

    def f(x: Any) -> Any:
        return anp.real(_last(call(anp, x)) * weight).sum()

    step = 1e-6
    numeric = (call_sum(f, A + step * along) - call_sum(f, A - step * along)) / (2 * step)
    if name == "nan_to_num infinite":  # x / 0 has an infinite derivative, which 0 times itself is not
        return
    assert numeric != 0.0
    np.testing.assert_allclose((grad(f)(A) * along).sum(), numeric, rtol=1e-6, atol=1e-6)


def call_sum(f: Any, x: Any) -> float:
    """Return the number that f gives."""
    return float(f(Value(x)).item())


@pytest.mark.parametrize(
    "call",
    [
        lambda xp, x: xp.take_along_axis(x, xp.argpartition(x, 1, axis=0)[:2], axis=0),
        lambda xp, x: xp.nanargmax(x + HOLES, axis=1),
        lambda xp, x: xp.nanargmin(x + HOLES),
        lambda xp, x: xp.isposinf(x + np.array([0.0, np.inf, -np.inf, np.nan])),
        lambda xp, x: xp.isneginf(x + np.array([0.0, np.inf, -np.inf, np.nan])),
        lambda xp, x: xp.modf(x * 1.3)[1],
        lambda xp, x: xp.divmod(x, 1.7)[0],
        lambda xp, x: xp.where(x > 1.0),
        lambda xp, x: xp.argsort(x, axis=None),
        lambda xp, x: xp.average(x, axis=1, returned=True)[1],
        lambda xp, x: xp.average(x, axis=1, weights=[1.0, 2.0, 3.0, 4.0], returned=True)[1],
        lambda xp, x: xp.bincount(np.array([3, 0, 3, 1])),
        lambda xp, x: xp.unique(x, return_index=True, return_inverse=True, return_counts=True)[1:],
        lambda xp, x: xp.nan_to_num(np.array([1, 2])),
        lambda xp, x: xp.linalg.matrix_rank(x[:, :2] * 0 + 1.0),
        lambda xp, x: xp.isin(x, [1.0, 2.0]),
        lambda xp, x: xp.digitize(x, PLACES),
        lambda xp, x: xp.tril_indices(3)[0],
        lambda xp, x: xp.hanning(5),
        lambda xp, x: xp.geomspace(1.0, 100.0, 3),
    ],
)
def test_answers_without_a_gradient(call: Any) -> None:
    """Places, counts and windows are NumPy's."""
    found, expected = call(anp, Value(A)), call(np, A)
    for y, right in zip(*([t if isinstance(t, tuple) else (t,) for t in (found, expected)]), strict=True):
        np.testing.assert_allclose(getattr(y, "data", y), right)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint32"])
@pytest.mark.parametrize("name", ["copy", "fabs", "rint", "float_power", "angle"])
def test_functions_of_truths_and_integers(name: str, dtype: str) -> None:
    """Numbers are NumPy's; what is a floating-point number there is one here, of double precision."""
    x = np.array([0, 1, 3]).astype(dtype)
    arguments = (2,) if name == "float_power" else ()
    wanted = getattr(np, name)(x, *arguments)
    for found in (getattr(anp, name)(Value(x), *arguments), getattr(np, name)(Value(x), *arguments)):
        assert (found.data.tolist(), found.dtype.kind) == (wanted.tolist(), wanted.dtype.kind)
        assert found.dtype in (x.dtype, np.float64)


def test_ufuncs_that_are_asked_about_arrays() -> None:
    """numpy.gcd and numpy.lcm of a Value arrive, as every other function does."""
    x = Value(np.array([4, 6]))
    assert (np.gcd(x, 6).tolist(), np.lcm(4, x).tolist()) == ([2, 6], [4, 12])


def test_edges_of_modf() -> None:
    """Zeros and infinities keep their sign, as in C's modf."""
    x = np.array([-0.0, np.inf, -np.inf, -2.0, np.nan])
    for found, expected in zip(anp.modf(Value(x)), np.modf(x), strict=True):
        np.testing.assert_array_equal(found.data, expected)
        np.testing.assert_array_equal(np.signbit(found.data)[:4], np.signbit(expected)[:4])


def test_a_slice_without_a_number() -> None:
    """Its quantile is NaN, as NumPy's, and its gradient is zero where others' are not touched."""
    x = Value(np.array([[np.nan, np.nan], [1.0, 3.0]]), requires_grad=True)
    y = anp.nanmedian(x, axis=1)
    assert np.isnan(y.data[0])
    y[1].backward()
    np.testing.assert_array_equal(x.grad, [[0.0, 0.0], [0.5, 0.5]])
    with pytest.raises(AutodiffError, match="NaN throughout"):
        anp.nanargmax(x, axis=1)


def test_the_median_of_many_halves() -> None:
    """Places beyond 2,048, which half precision does not count, are found."""
    x = np.repeat(np.array([2.0, 1.0, 0.0], np.float16), [2049, 1, 2049])
    y = anp.nanmedian(Value(x))
    assert (y.item(), y.dtype) == (1.0, np.float16)


def test_replaced_elements_have_no_gradient() -> None:
    """What `nan_to_num` puts there does not depend on what was there, complex numbers by their parts."""
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    assert grad(lambda v: (anp.nan_to_num(v) * 0.5).sum())(x).tolist() == [0.5, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(anp.nan_to_num(Value(x)).data, np.nan_to_num(x))
    z = np.array([1.0 + 2.0j, complex(np.nan, 1.0), complex(2.0, np.inf)])
    np.testing.assert_array_equal(anp.nan_to_num(Value(z)).data, np.nan_to_num(z))


def test_integers_are_differentiated_as_floats() -> None:
    """numpy.gradient of integers is of float64."""
    x = np.array([1, 4, 9, 16])
    assert anp.gradient(x).dtype == np.float64
    np.testing.assert_array_equal(anp.gradient(x), np.gradient(x))
    assert anp.gradient(Value(A.astype(np.float32)))[0].dtype == np.float32


def test_transforms_pass_through() -> None:
    """Second derivatives, and batches."""
    np.testing.assert_allclose(hessian(lambda x: anp.polyval(PLACES, x))(1.5), 2 * 0.5)
    np.testing.assert_array_equal(vmap(lambda row: anp.gradient(row, 0.5))(A), np.gradient(A, 0.5, axis=1))
    np.testing.assert_allclose(vmap(anp.nanmedian)(A + HOLES), np.nanmedian(A + HOLES, axis=1))
    np.testing.assert_array_equal(vmap(anp.vander)(A), np.stack([np.vander(row) for row in A]))


_WRONG = {
    "gradient of one": (lambda v: anp.gradient(v[:1]), "axis 0 has 1"),
    "gradient places": (lambda v: anp.gradient(v, np.ones(2), axis=0), r"\(3,\)"),
    "gradient spacings": (lambda v: anp.gradient(v, 1.0, 2.0, 3.0), "2 axes"),
    "gradient order": (lambda v: anp.gradient(v, edge_order=3), "1 or 2"),
    "polyval": (lambda v: anp.polyval(v, 2.0), "vector of coefficients"),
    "vander": (anp.vander, "vector"),
    "partition": (lambda v: anp.partition(v, 9), "9"),
    "nan_to_num": (lambda v: anp.nan_to_num(v, copy=False), "copy=False"),
    "nanquantile": (lambda v: anp.nanquantile(v, 1.5), "1.5"),
    "nanquantile of none": (lambda v: anp.nanmedian(v[:0]), "no elements"),
    "bincount": (anp.bincount, "integers"),
    "bincount negative": (lambda v: anp.bincount(np.array([-1])), "negative"),
    "bincount weights": (lambda v: anp.bincount(np.array([1]), v), r"\(3, 4\)"),
    "unwrap": (lambda v: anp.unwrap(v, axis=2), "axis 2"),
    "apply_along_axis": (lambda v: anp.apply_along_axis(lambda r: r, 0, v[:, :0]), "no vector"),
    "tensorinv": (lambda v: anp.linalg.tensorinv(v, ind=0), "ind is 0"),
    "tensorinv shape": (lambda v: anp.linalg.tensorinv(v, ind=1), "3 rows and 4"),
    "tensorsolve": (lambda v: anp.linalg.tensorsolve(v, v), "square"),
    "rfftn": (lambda v: anp.fft.rfftn(v, s=(2,), axes=(0, 1)), "one length"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_calls_are_explained(name: str) -> None:
    """The message has what was given, or what to do."""
    call, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        call(Value(A))


@pytest.mark.parametrize("space", [anp, anp.linalg, anp.fft])
def test_what_is_missing_is_named(space: Any) -> None:
    """An AttributeError, so that hasattr works, that says where the name was looked for."""
    assert not hasattr(space, "eigenvalues_of_everything")
    with pytest.raises(UnknownOpError, match=r"autodiff\.numpy.*eigenvalues_of_everything"):
        space.eigenvalues_of_everything  # the look is what raises
    assert anp.linalg.LinAlgError is np.linalg.LinAlgError


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse"])
def test_no_nan_is_like_another_in_the_standards_unique(name: str) -> None:
    x = np.array([3.0, 1.0, 3.0, np.nan, np.nan, 2.0])
    found, expected = getattr(anp, name)(Value(x)), getattr(np, name)(x)
    assert found._fields == expected._fields
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.data if isinstance(one, Value) else one, other)
