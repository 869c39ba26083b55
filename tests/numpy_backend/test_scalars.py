"""Activations of one number have kernels and rules of their own: they give what those of arrays give."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, ops


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_sigmoid_of_one_number_is_that_of_an_array(dtype: str) -> None:
    """On both sides of 0, and where nothing is a number; the dtype stays."""
    for x in (-30.0, -1.5, 0.0, 0.75, 30.0, np.nan, np.inf, -np.inf):
        if dtype.startswith("complex") and not np.isfinite(x):
            continue
        one = ops.sigmoid(np.dtype(dtype).type(x))
        many = ops.sigmoid(np.array([x], dtype))
        assert one.dtype == many.dtype
        np.testing.assert_allclose(one, many[0], rtol=2 * np.finfo(dtype).eps, atol=np.finfo(dtype).smallest_normal)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log_sigmoid", "silu", "mish"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradients_of_one_number(name: str, dtype: str) -> None:
    """Those of central differences in double precision, in the dtype of the number."""
    op = getattr(ops, name)
    for x in (-3.0, -0.5, 0.0, 0.75, 2.5):
        value = Value(np.dtype(dtype).type(x))
        (op(value) * 3.0).backward()
        step = 1e-6
        wanted = 3.0 * (op(np.array([x + step])) - op(np.array([x - step])))[0] / (2 * step)
        assert value.grad.dtype == dtype
        np.testing.assert_allclose(value.grad, wanted, rtol=max(1e-8, 8 * np.finfo(dtype).eps))
