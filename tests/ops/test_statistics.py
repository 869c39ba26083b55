"""Statistics: NaN and what leaves it out, ties, no spread, weights, empty and single elements."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, grad, ops
from autodiff.errors import ArgumentError

NAN = np.nan
HOLES = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN], [5.0, 2.0, NAN]])


@pytest.mark.filterwarnings("ignore:.*slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("name", ["nanmax", "nanmin", "nanprod", "nanvar", "nanstd"])
def test_nan_is_left_out_and_gets_no_gradient(name):
    """Values are NumPy's; the gradient is that of the others, and 0 for NaN; of nothing but NaN both say so."""
    v = Value(HOLES)
    with np.errstate(all="ignore"):
        y = ops[f"autodiff_ops.{name}"](v, axis=1)
        expected = getattr(np, name)(HOLES, axis=1)
    y.backward(np.array([1.0, 0.0, 1.0]))

    np.testing.assert_allclose(y.data, expected)
    assert (v.grad[[0, 2]][np.isnan(HOLES[[0, 2]])] == 0).all()
    for row in (0, 2):
        kept = HOLES[row][~np.isnan(HOLES[row])]
        alone = grad(ops[f"autodiff_ops.{name.removeprefix('nan')}"])(kept)
        np.testing.assert_allclose(v.grad[row][~np.isnan(HOLES[row])], alone)


@pytest.mark.parametrize("name", ["nanvar", "nanstd"])
@pytest.mark.parametrize("correction", [1, 2])
def test_too_few_numbers_have_no_spread(name, correction):
    """Where there are no more of them than the correction the result is NaN."""
    rows = np.array([[1.0, NAN, NAN], [NAN, NAN, NAN], [1.0, 2.0, 4.0]])
    op = ops[f"autodiff_ops.{name}"]
    with np.errstate(invalid="ignore"):  # the mean of nothing but NaN
        assert np.isnan(op(rows, axis=1, correction=correction)).tolist() == [True, True, False]
        assert np.isnan(op(np.ones((0, 2)), axis=0, correction=correction)).all()


@pytest.mark.parametrize("name", ["median", "quantile"])
def test_nan_spreads(name):
    """A statistic of order has no place for it."""
    options = {"q": 0.2} if name == "quantile" else {}

    assert np.isnan(ops[f"autodiff_ops.{name}"](HOLES, axis=1, **options)).all()
    assert ops[f"autodiff_ops.{name}"](HOLES[:, ::-1], axis=1, **options).shape == (3,)


def test_several_quantiles_are_stacked_in_front():
    """Each gets its gradient to the elements that it is made of."""
    v = Value(np.array([[3.0, 1.0, 2.0], [6.0, 4.0, 5.0]]))
    y = ops.quantile(v, q=(0.0, 0.75), axis=1, keepdims=True)
    y.sum().backward()

    assert y.shape == (2, 2, 1)
    np.testing.assert_allclose(v.grad, [[0.5, 1.0, 0.5]] * 2)


def test_a_single_element_is_every_quantile():
    """Of no element there is none."""
    assert [ops.quantile(np.array([7.0]), q=q).item() for q in (0.0, 0.3, 1.0)] == [7.0] * 3
    with pytest.raises(ArgumentError, match="no elements"):
        ops.quantile(np.ones((2, 0)), q=0.5, axis=1)


def test_quantiles_of_equal_elements_are_exact():
    """Interpolation between equal numbers gives that number, and infinities stay."""
    assert ops.quantile(np.full(4, 0.1), q=0.3).item() == 0.1
    assert ops.median(np.array([np.inf, 1.0, np.inf])).item() == np.inf


def test_weights_are_differentiable():
    """By the quotient rule: (x - mean) / sum(weights)."""
    x, w = np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 2.0])

    np.testing.assert_allclose(grad(ops.average, argnums=1)(x, w), (x - 3.75) / 4)


def test_half_precision_is_summed_in_float32():
    """70,000 elements: neither their number nor the sum of their weights is a number of half precision."""
    x = np.random.default_rng(0).uniform(0.0, 0.02, (70_000, 2)).astype(np.float16)
    wide = x.astype(float)
    ones = np.ones(len(x), np.float16)
    found = [
        ops.average(x, ones, axis=0),
        *(ops[f"autodiff_ops.nan{name}"](x, axis=0) * 100 for name in ("var", "std")),
        ops.cov(x * 10, rowvar=False)[0, 0],
        ops.corrcoef(x, rowvar=False)[0, 0],
    ]
    expected = [wide.mean(axis=0), wide.var(axis=0) * 100, wide.std(axis=0) * 100, wide[:, 0].var() * 100, 1.0]
    for mine, other in zip(found, expected, strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_allclose(mine, other, rtol=5e-3)


def test_a_single_row_has_one_covariance():
    """As NumPy's, whether the variable is a vector or a matrix of one row."""
    x = np.array([[1.0, 2.0, 6.0]])
    for shaped, rowvar in ((x, True), (x[0], True), (x.T, False)):
        assert (ops.cov(shaped, rowvar=rowvar).shape, ops.corrcoef(shaped, rowvar=rowvar).shape) == ((), ())
        np.testing.assert_allclose(ops.cov(shaped, rowvar=rowvar), np.cov(x))


def test_float32_stays():
    """No result is wider than its inputs."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for y in (ops.median(x), ops.cov(x), ops.nanvar(x), ops.nanmax(x), ops.average(x, x + 1), ops.ptp(x)):
        assert y.dtype == np.float32
