"""Angles, sinc and other remainders: special numbers, second derivatives at 0, dtypes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodiff import Value, grad, ops

SPECIAL = np.array([0.0, -0.0, 5.5, -5.5, 1e300, np.inf, -np.inf, np.nan, 7.0])


@pytest.mark.parametrize("by", [2.0, -2.0, 1.7, np.inf, 0.0, np.nan])
def test_fmod_is_numpys(by):
    """Signs, zeros, infinities and NaN included."""
    with np.errstate(all="ignore"):
        actual, expected = ops.fmod(SPECIAL, by), np.fmod(SPECIAL, by)

    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    whole = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual[whole]), np.signbit(expected[whole]))


def test_fmod_of_integers_and_halves():
    """Whole numbers stay whole, dtypes stay."""
    assert ops.fmod(np.array([-7, 7]), 4).tolist() == [-3, 3]
    assert ops.fmod(np.float16(5), np.float16(3)).dtype == np.float16


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_where_one_is_nan_the_other_counts(name):
    """And gets the gradient; of two the result is NaN."""
    op = ops[f"autodiff_ops.{name}"]

    assert [g.item() for g in grad(op, argnums=(0, 1))(np.nan, 2.0)] == [0.0, 1.0]
    assert np.isnan(op(np.nan, np.nan))


def test_sinc_at_zero():
    """1, with the derivatives 0 and -pi^2 / 3."""
    assert ops.sinc(0.0).item() == 1.0
    assert grad(ops.sinc)(0.0).item() == 0.0
    np.testing.assert_allclose(grad(grad(ops.sinc))(0.0).item(), -(np.pi**2) / 3)


def test_heaviside_of_nan_is_nan():
    """As NumPy has it, in the dtype of the inputs."""
    y = ops.heaviside(np.array([np.nan, -0.0, 2.0], np.float32), np.float32(0.5))

    np.testing.assert_array_equal(y, np.array([np.nan, 0.5, 1.0], np.float32))
    assert y.dtype == np.float32


def test_heaviside_of_integers_is_a_fraction():
    """Its value at 0 may be one."""
    assert ops.heaviside(np.array([-2, 0, 2]), 0.5).tolist() == [0.0, 0.5, 1.0]
    assert ops.heaviside(np.array([-2, 0, 2]), np.array([1])).dtype == np.float64


def test_logaddexp2_does_not_overflow():
    """The sum of equal powers is one more, and of nothing but -inf nothing, with the gradient 0."""
    assert ops.logaddexp2(5000.0, 5000.0).item() == pytest.approx(5001.0)
    x = Value(np.array([-np.inf, 0.0]))
    y = ops.logaddexp2(x, -np.inf)
    y.backward(np.ones(2))
    assert (y.data.tolist(), x.grad.tolist()) == ([-np.inf, 0.0], [0.0, 1.0])


def test_logaddexp2_keeps_the_digits_of_half_precision():
    """It is rounded once, and not on the way to another base."""
    x = np.linspace(-8, 8, 65).astype(np.float16)
    y = ops.logaddexp2(x, x[::-1].copy())
    np.testing.assert_array_equal(y, np.logaddexp2(x, x[::-1]))


def test_fmax_and_fmin_beside_numbers_that_are_nan() -> None:
    """A Python number that is NaN gives way everywhere, on either side, and two numbers need no array."""
    x = Value([1.0, math.nan, -2.0])
    for op in (ops.fmax, ops.fmin):
        for y in (op(x, math.nan), op(math.nan, x)):
            np.testing.assert_array_equal(y.data, [1.0, math.nan, -2.0])
        assert op(math.nan, 2.0) == op(2.0, math.nan) == 2.0
    ops.fmax(math.nan, x).backward(np.ones(3))
    np.testing.assert_array_equal(x.grad[[0, 2]], [1.0, 1.0])
