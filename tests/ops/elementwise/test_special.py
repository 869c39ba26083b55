"""Special functions: accuracy against the standard library, limits, and agreement with PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, ops

REAL = np.random.default_rng(0).normal(size=(4, 5)) * 2


def points(count, dtype=float):
    """Return numbers of every size that matters: around 0, 1 and 6, and tiny ones."""
    rng = np.random.default_rng(3)
    parts = (rng.uniform(-7, 7, count // 2), rng.normal(size=count // 4), 10.0 ** rng.uniform(-300, 0, count // 4))
    return np.concatenate(parts).astype(dtype)


@pytest.mark.parametrize("count", [400, 40_000], ids=["few", "many"])
def test_erf_is_exact_to_the_last_digits(count):
    """In float64 it differs from the standard library's by at most two units in the last place, tiny ones too."""
    x = points(count)
    expected = np.array([math.erf(number) for number in x])
    assert np.max(np.abs(ops.erf(x) - expected) / np.abs(expected)) < 4.5e-16


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-7), ("float16", 1e-3)])
@pytest.mark.parametrize("count", [400, 40_000], ids=["few", "many"])
def test_erf_in_lower_precision(dtype, tolerance, count):
    """It keeps the dtype and nearly all of its digits."""
    x = points(count, dtype)
    y = ops.erf(x)
    expected = np.array([math.erf(number) for number in x.tolist()])
    assert str(y.dtype) == dtype
    assert np.max(np.abs(y - expected)) < tolerance


@pytest.mark.parametrize("repeat", [1, 200], ids=["few", "many"])
def test_erf_of_special_values(repeat):
    """Signs of zero, infinities and huge numbers have their limits, NaN stays NaN, without a warning."""
    x = np.array([0.0, -0.0, np.inf, -np.inf, 1e300, -1e300, np.nan, 1.0])
    y = ops.erf(np.tile(x, repeat))[-8:]
    np.testing.assert_array_equal(y[:-1], [0.0, -0.0, 1.0, -1.0, 1.0, -1.0, np.nan])
    assert np.signbit(y[:2]).tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_erf_ends_at_one_in_lower_precision(dtype):
    """Exactly, in large arrays too: what is left of 1 + erf(x) would be multiplied by x elsewhere."""
    x = np.repeat(np.array([4.2, 5.0, 7.0, 1e4, np.inf], dtype), 1000)
    assert (set(ops.erf(x)), set(ops.erf(-x))) == ({1.0}, {-1.0})


def test_erf_of_every_layout():
    """Strided, transposed and 0-d arrays, and integers."""
    x = np.arange(4096.0).reshape(64, 64)[:, ::2].T / 500
    found = [ops.erf(x), ops.erf(np.array(0.5)), ops.erf(np.array([0, 1]))]
    expected = [np.vectorize(math.erf)(x), math.erf(0.5), [0.0, math.erf(1.0)]]
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-15)


def test_erf_as_pytorch():
    """Values and gradients are PyTorch's."""
    compare(ops.erf, "erf", REAL)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_the_slope_of_erf_far_out(size):
    """It is 0 there, in float32 too, without a warning."""
    x = Value(np.array([size], np.float32))
    ops.erf(x).sum().backward()
    assert x.grad.tolist() == [0.0]


def test_xlogy_as_pytorch():
    """Values and gradients are PyTorch's, with zeros in the first argument."""
    x1 = np.where(REAL > 1, 0.0, REAL)
    compare(ops.xlogy, "xlogy", x1, np.array([0.5, 1.0, 1.5, 2.0, 3.0]))


def test_27_xlogy_at_zero():
    """Behaviour 27: the derivative by the first argument at 0 is the logarithm of the second."""
    assert math.isclose(float(grad(ops.xlogy)(0.0, 3.0)), math.log(3.0))


@pytest.mark.parametrize("x2", [0.0, -1.0, np.inf, 2.0])
def test_xlogy_of_zero_is_zero(x2):
    """Whatever the second argument is, and so is the derivative by it, without a warning; but NaN stays NaN."""
    y = Value(x2)
    out = ops.xlogy(0.0, y)
    out.backward()
    assert (out.item(), float(y.grad), math.isnan(ops.xlogy(0.0, np.nan))) == (0.0, 0.0, True)


def test_the_mixed_derivative_of_xlogy_at_zero():
    """A zero in the first argument is nothing special for the second derivative: 1 / x2."""
    mixed = grad(lambda x1: grad(ops.xlogy, argnums=1)(x1, 4.0))(0.0)
    assert float(mixed) == 0.25


@pytest.mark.parametrize("pair", [(Value(np.ones(2, np.float32)), 2.0), (2.0, Value(np.ones(2, np.float32)))])
def test_xlogy_keeps_single_precision_beside_numbers(pair):
    """A Python number on either side leaves float32 alone."""
    y = ops.xlogy(*pair)
    x = next(v for v in pair if isinstance(v, Value))
    y.sum().backward()
    assert (str(y.dtype), str(x.grad.dtype)) == ("float32", "float32")
