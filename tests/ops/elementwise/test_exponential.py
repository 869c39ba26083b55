"""Exponentials, logarithms and roots: special values, small and large ones, and agreement with PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, ops
from autodiff.testing import c_expressions

REAL = np.random.default_rng(0).normal(size=(4, 5))
POSITIVE = np.abs(REAL) + 0.1
COMPLEX = REAL + 1j * REAL[::-1]


@pytest.mark.parametrize("name", ["exp", "exp2", "expm1", "tanh"])
@pytest.mark.parametrize("x", [REAL, COMPLEX], ids=["real", "complex"])
def test_exponentials_as_pytorch(name, x):
    """Values and gradients are PyTorch's, for real and for complex numbers."""
    compare(ops[f"autodiff_ops.{name}"], name, x)


@pytest.mark.parametrize("name", ["log", "log1p", "log2", "log10", "sqrt"])
@pytest.mark.parametrize("x", [POSITIVE, COMPLEX], ids=["real", "complex"])
def test_logarithms_and_roots_as_pytorch(name, x):
    """Values and gradients are PyTorch's, for real and for complex numbers."""
    compare(ops[f"autodiff_ops.{name}"], name, x)


def test_cube_root_of_cubes():
    """It undoes the cube of negative numbers too, and so does its gradient; PyTorch has no cube root."""
    x = Value(REAL)
    ops.cbrt(x**3).sum().backward()
    np.testing.assert_allclose(x.grad, np.ones_like(REAL), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", ["cbrt", "sqrt", "log"])
def test_derivatives_at_zero_are_infinite(name):
    """Where the limit is infinite the gradient is, and never NaN."""
    assert float(grad(ops[f"autodiff_ops.{name}"])(0.0)) == np.inf


def test_the_cube_root_of_a_library_without_one():
    """The generic kernel does with what the array API standard has."""

    class Library:
        abs, sign = staticmethod(np.abs), staticmethod(np.sign)

    x = np.array([-27.0, 0.0, 1e-12, 8.0])
    np.testing.assert_allclose(ops.cbrt.function(Library, x), np.cbrt(x), rtol=1e-15)


def test_powers_of_two_of_a_library_without_them():
    """The generic kernel does with what the array API standard has, in the precision of its input."""
    y = ops.exp2.function(object(), np.array([-1.0, 0.0, 3.0], np.float32))
    assert (y.tolist(), str(y.dtype)) == ([0.5, 1.0, 8.0], "float32")


def test_logaddexp_as_pytorch():
    """Values and gradients are PyTorch's, ties and large numbers included."""
    compare(
        ops.logaddexp, "logaddexp", np.array([0.0, 1.0, 800.0, -800.0, 3.0]), np.array([0.0, 2.0, -800.0, 800.0, 3.0])
    )


def test_the_second_derivative_of_logaddexp_at_a_tie():
    """A tie is nothing special for a smooth function: p * (1 - p) is a quarter there."""
    assert math.isclose(float(grad(grad(lambda x: ops.logaddexp(x, 2.0)))(2.0)), 0.25, rel_tol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize(("name", "base"), [("logaddexp", math.e), ("logaddexp2", 2.0)])
@pytest.mark.parametrize("shift", [-1e6, 0.0, 1e4, 1e6])
def test_the_shares_keep_their_digits(name, base, shift, recorded):
    """They depend on the difference alone, of which a large result has few digits; infinite ones are everything."""
    x1, x2 = (
        Value(np.array(x, np.float32) + np.float32(shift))
        for x in ([0.0, 2.0, np.inf, -np.inf, -np.inf], [1.0, -1.5, 1.0, 0.0, -np.inf])
    )
    ops[f"autodiff_ops.{name}"](x1, x2).backward(np.ones(5, np.float32), create_graph=recorded)
    found = [v.grad.data if recorded else v.grad for v in (x1, x2)]

    np.testing.assert_allclose(found[0], [1 / (1 + base), 1 / (1 + base**-3.5), 1, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found[1], [1 / (1 + 1 / base), 1 / (1 + base**3.5), 0, 1, 0], rtol=1e-6)


def test_logaddexp_of_nothing():
    """The sum of two zeros is -inf, with the gradient 0 and without a warning; one zero changes nothing."""
    a, b = Value([-np.inf, -np.inf]), Value([-np.inf, 1.0])
    y = ops.logaddexp(a, b)
    y.sum().backward()
    assert (y.data.tolist(), a.grad.tolist(), b.grad.tolist()) == ([-np.inf, 1.0], [0.0, 0.0], [0.0, 1.0])


@pytest.mark.parametrize(("name", "derivative"), [("expm1", 1.0), ("log1p", 1.0)])
def test_digits_near_zero(name, derivative):
    """What is tiny stays exact, and the derivative is 1."""
    value, slope = ops[f"autodiff_ops.{name}"](1e-30), grad(ops[f"autodiff_ops.{name}"])(1e-30)
    assert (float(value), float(slope)) == (1e-30, derivative)


@pytest.mark.parametrize("name", ["exp", "exp2", "expm1", "tanh", "log1p", "log2", "log10", "cbrt"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_precision_is_kept(name, dtype):
    """Half and single precision come out as they went in, gradients too."""
    x = Value(np.array([0.5, 2.0], dtype))
    y = ops[f"autodiff_ops.{name}"](x)
    y.sum().backward()
    assert (str(y.dtype), str(x.grad.dtype)) == (dtype, dtype)


def test_logaddexp_keeps_single_precision_beside_numbers():
    """A Python number on either side leaves float32 alone."""
    x = Value(np.ones(3, np.float32))
    y = ops.logaddexp(x, 0.5) + ops.logaddexp(0.5, x)
    y.sum().backward()
    assert (str(y.dtype), str(x.grad.dtype)) == ("float32", "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_c_expressions_of_infinities(name, dtype):
    """As NumPy has the values; where both are -inf the gradients are 0."""
    if c_expressions.compiler() is None:
        pytest.skip("there is no C compiler")
    op = ops[f"autodiff_ops.{name}"]
    x1, x2 = (x.ravel() for x in np.meshgrid(*[np.array([-np.inf, 0.0, 2.0, np.inf, np.nan], dtype)] * 2))
    library = c_expressions._compiled(c_expressions._source(op.inputs, (), op.c, op.c_partials))
    y = c_expressions._call(library, "value", dtype, [x1, x2], ())

    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(y, getattr(np, name)(x1, x2), rtol=1e-6)
    for i in range(2):
        partial = c_expressions._call(library, f"partial_{i}", dtype, [x1, x2, y], ())
        assert partial[y == -np.inf].tolist() == [0.0]
        assert np.isfinite(partial[np.isfinite(y)]).all()
