"""Kinks, limits, half precision, complex numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from finite import central

from autodiff import Value, grad, ops
from autodiff import numpy as anp


def test_21_where_does_not_multiply_by_its_mask() -> None:
    """NaN and infinity in the branch not taken stay out of the gradient of where itself."""
    a, b = Value(np.array([np.inf, 1.0])), Value(np.array([np.nan, 2.0]))
    ops.where(np.array([True, False]), a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([1.0, 0.0], [0.0, 1.0])


def test_21_where_passes_no_infinite_cotangent_to_the_other_branch() -> None:
    """An infinite cotangent of the branch taken is no NaN for the other."""
    a, b = Value(np.array([1.0, 1.0])), Value(np.array([2.0, 2.0]))
    ops.where(np.array([True, False]), a, b).backward(np.array([np.inf, -np.inf]))
    assert (a.grad.tolist(), b.grad.tolist()) == ([np.inf, 0.0], [0.0, -np.inf])


def test_21_safe_where() -> None:
    """The documented way, a guarded input, gives finite gradients."""
    x = Value(np.array([0.0, 2.0]))
    positive = x.data > 0
    ops.where(positive, ops.log(ops.where(positive, x, 1.0)), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("power", [0, 1, 2, 3, 0.0, 2.0])
def test_25_integer_powers_at_zero(power: float) -> None:
    """Every derivative of x**n at 0 up to the third is the polynomial's, whichever way the exponent is given."""
    wanted = [0.0 if power != k else float(np.prod(range(1, k + 1))) for k in (1, 2, 3)]
    for exponent in (power, np.array(float(power)), Value(float(power), requires_grad=False)):

        def f(x: Any, exponent: Any = exponent) -> Any:
            return x**exponent

        found = [grad(f)(0.0), grad(grad(f))(0.0), grad(grad(grad(f)))(0.0)]
        assert [float(g) for g in found] == wanted


def test_25_exponent_at_base_zero() -> None:
    """0**y is constant for y > 0, and the gradient at (0, 0) is no NaN."""
    assert grad(lambda y: 0.0**y)(2.0) == 0.0
    assert grad(lambda x, y: x**y, argnums=(0, 1))(0.0, 0.0) == (0.0, 0.0)
    x, y = Value(np.zeros(3)), Value(np.array([0.0, 1.0, 2.0]))
    (x**y).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([0.0, 1.0, 0.0], [0.0, 0.0, 0.0])


def test_25_third_derivative_of_a_gaussian_at_zero() -> None:
    """The third derivative of exp(-x**2) at 0 is 0, not NaN."""
    assert grad(grad(grad(lambda x: anp.exp(-(x**2)))))(0.0) == 0.0
    assert grad(grad(grad(lambda x: anp.exp(-(x**2.0)))))(0.0) == 0.0


def test_25_negative_base() -> None:
    """A negative base with a whole exponent has a gradient for the base, by a number or by an array."""
    for exponent in (2, 2.0, np.array([2.0]), Value(np.array([2.0]), requires_grad=False)):
        x = Value(np.array([-3.0]))
        (x**exponent).sum().backward()
        np.testing.assert_allclose(x.grad, central(lambda a: (a**2).sum(), [-3.0]), rtol=1e-8)


def test_26_fractional_power_at_zero_raises_nothing() -> None:
    """x * x**0.5 at 0 is a matter of NaN or infinity, not of ZeroDivisionError, and warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in (0.0, np.array(0.0), np.zeros(1)):
            found = grad(lambda x: (x * x**0.5).sum())(start)
            assert np.shape(found) == np.shape(start)
        assert grad(lambda x: x**0.5)(0.0) == np.inf


def test_28_ties_share_the_gradient() -> None:
    """The maximum of [1, 1, 0] gives half to each of the largest, and maximum(1, 1) half to each side."""
    x = Value(np.array([1.0, 1.0, 0.0]))
    x.max().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.0]
    a, b = Value(1.0), Value(1.0)
    ops.maximum(a, b).backward()
    assert (a.grad, b.grad) == (0.5, 0.5)
    rows = Value(np.array([[2.0, 2.0], [1.0, 3.0]]))
    rows.max(axis=1).sum().backward()
    assert rows.grad.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_29_ties_in_half_precision() -> None:
    """70 000 ties are counted although float16 ends at 65 504."""
    x = Value(np.ones(70_000, np.float16))
    x.max().backward()
    assert x.grad.dtype == np.float16
    np.testing.assert_allclose(x.grad.astype(float), 1 / 70_000, rtol=0.01)


def test_29_broadcast_sum_in_half_precision() -> None:
    """A float16 cotangent is summed over 70 000 places without overflow and without losing small terms."""
    x = Value(np.float16(1))
    (x * np.full(70_000, 0.5, np.float16)).backward(np.ones(70_000, np.float16))
    assert x.grad == np.float16(35_000)
    y = Value(np.ones((1, 2), np.float16))
    ops.broadcast_to(y, shape=(30_000, 2)).backward(np.ones((30_000, 2), np.float16))
    assert y.grad.tolist() == [[30_000.0, 30_000.0]]


def test_29_sum_in_half_precision() -> None:
    """30 000 ones add up to 30 000 in float16."""
    assert Value(np.ones(30_000, np.float16)).sum().data == 30_000
    assert Value(np.ones(70_000, np.float16)).mean().data == 1.0


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.mean(),
        lambda x: x.max(),
        lambda x: x.logsumexp(),
        lambda x: (x * 2.0 + 1).sum(),
        lambda x: (x**2 / 3).sum(),
        lambda x: (x.softmax() * x.sigmoid() + x.relu()).sum(),
        lambda x: ops.maximum(x, 0.0).sum(),
        lambda x: ops.where(x.data > 0, x, 0.5).sum(),
        lambda x: (x @ x.T).sum(),
        lambda x: x[[0, 0]].sum(),
        lambda x: (x + np.ones(3)).sum(),
    ],
)
def test_30_gradient_has_the_dtype_of_its_input(f: Any, dtype: str) -> None:
    """No gradient of a narrow or a wide float is quietly float64."""
    x = Value(np.arange(1.0, 7.0).reshape(2, 3).astype(dtype))
    f(x).backward()
    assert x.grad.dtype == np.dtype(dtype)


def test_52_modulus_squared() -> None:
    """The gradient of abs(z)**2 at 3+4j is 6+8j, twice z."""
    z = Value(3 + 4j)
    (abs(z) ** 2).backward()
    assert z.grad == 6 + 8j
    assert grad(lambda w: anp.real(w * anp.conj(w)))(3 + 4j) == 6 + 8j


def test_52_complex_gradients_agree_with_differences() -> None:
    """dL/d(re) + 1j dL/d(im), for a mixture of complex ops."""

    def f(z: Any) -> Any:
        return ops.sum(ops.abs(ops.tanh(z) * z + ops.exp(z) / (z + 2)) ** 2)

    at = np.array([0.3 + 0.4j, -0.2 + 0.1j])
    found = grad(f)(at)
    real = central(lambda a: f(a + 1j * at.imag), at.real)
    imag = central(lambda a: f(at.real + 1j * a), at.imag)
    np.testing.assert_allclose(found, real + 1j * imag, rtol=1e-7)


def test_52_real_input_of_complex_ops_has_a_real_gradient() -> None:
    """A real factor of a complex number gets a real gradient, of the real part alone."""
    x, z = Value(2.0), Value(3j)
    (abs(x * z) ** 2).backward()
    assert (x.grad, x.grad.dtype, z.grad) == (36.0, np.float64, 24j)


def test_52_complex_gather() -> None:
    """Reading complex elements twice adds complex gradients."""
    z = Value(np.array([1 + 1j, 2j]))
    (ops.abs(z[[0, 0, 1]]) ** 2).sum().backward()
    np.testing.assert_allclose(z.grad, [4 + 4j, 4j])
