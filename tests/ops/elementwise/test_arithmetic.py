"""Arithmetic and the parts of complex numbers: special values, and agreement with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, ops

REAL = np.random.default_rng(0).normal(size=(4, 5))
OTHER = np.random.default_rng(1).uniform(0.5, 2.0, size=(4, 1))
COMPLEX = REAL + 1j * REAL[::-1]


@pytest.mark.parametrize("name", ["square", "reciprocal", "negative", "positive", "abs"])
@pytest.mark.parametrize("x", [REAL, COMPLEX], ids=["real", "complex"])
def test_one_argument_as_pytorch(name, x):
    """Values and gradients are PyTorch's, for real and for complex numbers."""
    compare(ops[f"autodiff_ops.{name}"], name, x)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("sign", "sgn"), ("conj", "conj_physical"), ("real", "real"), ("angle", "angle")]
)
def test_parts_of_complex_numbers_as_pytorch(ours, theirs):
    """What turns with a complex number, and what does not, is as in PyTorch."""
    compare(ops[f"autodiff_ops.{ours}"], theirs, COMPLEX)


def test_imaginary_part_as_pytorch():
    """PyTorch has no imaginary part of real numbers; of complex ones it agrees."""
    compare(ops.imag, "imag", COMPLEX)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "pow", "remainder"])
def test_two_arguments_as_pytorch(name):
    """Values and gradients are PyTorch's, summed over what was broadcast."""
    compare(ops[f"autodiff_ops.{name}"], name, np.abs(REAL) + 0.1, OTHER)


@pytest.mark.parametrize("name", ["multiply", "divide", "pow"])
def test_complex_products_as_pytorch(name):
    """The gradient holds the conjugates of the partial derivatives."""
    compare(ops[f"autodiff_ops.{name}"], name, COMPLEX, OTHER + 0.5j)


@pytest.mark.parametrize("x", [-2.0, -0.0, 0.0, 3.0])
def test_the_angle_of_a_real_number_is_constant(x):
    """It is 0 or pi as NumPy has it, and its gradient is 0, at 0 too."""
    assert (ops.angle(Value(x)).item(), float(grad(ops.angle)(x))) == (float(np.angle(x)), 0.0)


def test_the_angle_at_zero_has_no_gradient():
    """Where there is no angle the gradient is 0, neither infinite nor NaN, and no warning is given."""
    z = Value(np.array([0j, 1.0 + 0j, 2j]))
    ops.angle(z).sum().backward()
    assert z.grad.tolist() == [0j, 1j, -0.5 + 0j]


@pytest.mark.parametrize("x", [-1.5, 0.0, 2.5])
def test_powers_of_order_three(x):
    """Higher derivatives of a square are those of a parabola."""
    derivatives = [grad(ops.square), grad(grad(ops.square)), grad(grad(grad(ops.square)))]
    assert [float(d(x)) for d in derivatives] == [2 * x, 2.0, 0.0]


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_pole_of_the_reciprocal():
    """At 0 value and derivative are the infinities that NumPy has for the formulas."""
    x = Value(np.array([0.0, -0.0, np.inf]))
    y = ops.reciprocal(x)
    y.backward(np.ones(3))
    assert (y.data.tolist(), x.grad.tolist()) == ([np.inf, -np.inf, 0.0], [-np.inf, -np.inf, -0.0])


@pytest.mark.parametrize("name", ["square", "reciprocal", "angle", "sign"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64"])
def test_precision_is_kept(name, dtype):
    """Half and single precision come out as they went in, gradients too; the parts of complex64 are float32."""
    x = Value(np.array([0.5, 2.0], dtype))
    y = ops[f"autodiff_ops.{name}"](x)
    (ops.real(y) + ops.real(x)).sum().backward()
    wanted = "float32" if (name, dtype) == ("angle", "complex64") else dtype
    assert (str(y.dtype), str(x.grad.dtype)) == (wanted, dtype)
