"""Sequences: interpolation outside and at its points, convolutions as products of polynomials, integrals."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, grad, ops

POINTS, VALUES = np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0, 0.0])


def test_interpolation_is_constant_outside():
    """There the gradient goes to the value at the end alone."""
    v, x = Value(VALUES), Value(np.array([-5.0, 3.5, np.inf, -np.inf]))
    y = ops.interp(x, POINTS, v)
    y.sum().backward()

    assert y.data.tolist() == [2.0, 0.0, 0.0, 2.0]
    assert x.grad[:2].tolist() == [0.0, 0.0]
    assert v.grad[1] == 0


def test_interpolation_is_differentiable_by_all_three():
    """The gradient by a point is minus the slope, times the share of its value."""
    p = Value(POINTS)
    ops.interp(2.0, p, VALUES).backward()

    np.testing.assert_allclose(p.grad, [0.0, 1.0, 1.0])


def test_not_a_number_stays():
    """It lies nowhere."""
    assert np.isnan(ops.interp(np.nan, POINTS, VALUES))


@pytest.mark.parametrize("sizes", [(5, 3), (3, 5), (1, 4), (4, 4)])
def test_convolution_multiplies_polynomials(sizes):
    """Coefficients of the product, and the gradient of its value at 2."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(n) for n in sizes)

    def at(coefficients, x):
        return (coefficients * x ** np.arange(coefficients.shape[0], dtype=float)).sum()

    np.testing.assert_allclose(at(ops.convolve(a, b), 2.0), at(a, 2.0) * at(b, 2.0))
    gradient = grad(lambda a: at(ops.convolve(a, b), 2.0))(a)
    np.testing.assert_allclose(gradient, 2.0 ** np.arange(sizes[0]) * at(b, 2.0))


def test_integrals_of_lines_are_exact():
    """The rule is that of the trapezoid, on points at any distance."""
    x = np.array([0.0, 0.5, 2.0, 3.0])

    assert ops.trapezoid(2 * x, x).item() == 9.0
    assert ops.trapezoid(np.ones((2, 4)), x, axis=1).tolist() == [3.0, 3.0]


def test_infinities_and_nan_reach_only_their_neighbours():
    """A window that does not hold them is not touched."""
    a = np.array([1.0, np.nan, 1.0, 1.0, np.inf, 1.0])

    assert np.isnan(ops.convolve(a, np.ones(2), mode="valid")).tolist() == [True, True, False, False, False]
    assert np.isnan(ops.diff(a)).tolist() == [True, True, False, False, False]
