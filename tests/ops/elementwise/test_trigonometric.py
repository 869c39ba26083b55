"""Trigonometric and hyperbolic functions: the plane's origin, the ends of domains, and agreement with PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, ops

UNIT = np.random.default_rng(0).uniform(-0.95, 0.95, size=(4, 5))
COMPLEX = UNIT + 1j * UNIT[::-1]
ENTIRE = ("sin", "cos", "tan", "sinh", "cosh", "asinh", "atan")


@pytest.mark.parametrize("name", [*ENTIRE, "asin", "acos", "atanh"])
@pytest.mark.parametrize("x", [UNIT, COMPLEX], ids=["real", "complex"])
def test_one_argument_as_pytorch(name, x):
    """Values and gradients are PyTorch's, for real and for complex numbers in all four quadrants."""
    compare(ops[f"autodiff_ops.{name}"], name, x)


@pytest.mark.parametrize("x", [1.5 + np.abs(UNIT), COMPLEX], ids=["real", "complex"])
def test_inverse_hyperbolic_cosine_as_pytorch(x):
    """Values and gradients are PyTorch's, also in the left half of the complex plane."""
    compare(ops.acosh, "acosh", x)


@pytest.mark.parametrize("name", ["atan2", "hypot"])
def test_two_arguments_as_pytorch(name):
    """Values and gradients are PyTorch's in all four quadrants, summed over what was broadcast."""
    compare(ops[f"autodiff_ops.{name}"], name, UNIT, np.array([[0.5], [-0.5], [2.0], [-2.0]]))


@pytest.mark.parametrize("name", ["hypot", "atan2"])
def test_the_origin(name):
    """Without a derivative there, the gradient is 0, in recorded passes too, and no warning is given."""
    op = ops[f"autodiff_ops.{name}"]
    first = grad(op, argnums=(0, 1))(0.0, 0.0)
    second = grad(lambda a, b: sum(grad(op, argnums=(0, 1))(a, b)), argnums=(0, 1))(0.0, 0.0)
    assert (*map(float, first), *map(float, second)) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_neither_overflow_nor_underflow_in_the_plane(size):
    """Where squares leave the range of numbers, gradients are still exact."""
    a, b = Value(3 * size), Value(4 * size)
    ops.hypot(a, b).backward()
    c, d = Value(3 * size), Value(4 * size)
    ops.atan2(c, d).backward()
    found = [float(v.grad) for v in (a, b)] + [float(v.grad) * size for v in (c, d)]
    np.testing.assert_allclose(found, [0.6, 0.8, 0.16, -0.12], rtol=1e-14)


@pytest.mark.parametrize(("y", "x"), [(0.0, 1.0), (0.0, -1.0), (-0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)])
def test_the_axes_of_the_plane(y, x):
    """On the axes, signs of zero included, the angle is the standard library's and its gradient is finite."""
    a, b = Value(y), Value(x)
    angle = ops.atan2(a, b)
    angle.backward()
    assert (angle.item(), float(a.grad), float(b.grad)) == (math.atan2(y, x), x, -y)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [
        ("asin", 1.0, np.inf),
        ("asin", -1.0, np.inf),
        ("acos", 1.0, -np.inf),
        ("acosh", 1.0, np.inf),
        ("atanh", 1.0, np.inf),
    ],
)
def test_the_ends_of_domains(name, x, slope):
    """The derivative is infinite there, and not NaN."""
    assert float(grad(ops[f"autodiff_ops.{name}"])(x)) == slope


def test_derivatives_near_the_end_of_a_domain():
    """Near 1 no digits are lost: the difference from 1 is exact, and so is what the slope is made of."""
    distance = 3 * 2.0**-30
    slope = float(grad(ops.asin)(1.0 - distance))
    assert math.isclose(slope, 1 / math.sqrt(2 * distance - distance**2), rel_tol=4e-16)


@pytest.mark.parametrize("name", [*ENTIRE, "asin", "acos", "atanh"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64"])
def test_precision_is_kept(name, dtype):
    """Half and single precision come out as they went in, gradients too."""
    x = Value(np.array([0.25, 0.5], dtype))
    y = ops[f"autodiff_ops.{name}"](x)
    ops.real(y).sum().backward()
    assert (str(y.dtype), str(x.grad.dtype)) == (dtype, dtype)


@pytest.mark.parametrize(
    "function",
    [np.sin, np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arctanh, np.tan, np.cosh],
    ids=lambda f: f.__name__,
)
def test_numpys_own_names(function):
    """NumPy's functions and spellings, given a Value, reach the op."""
    v = function(Value(UNIT))
    assert (type(v), v.requires_grad, v.data.tolist()) == (Value, True, function(UNIT).tolist())


def test_numpys_arctan2():
    """So do those of two arguments."""
    assert np.arctan2(Value(1.0), 1.0).item() == math.pi / 4
