"""Activations over an axis: large inputs, odd shapes, half precision, and agreement with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, ops
from autodiff.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(4, 6, 8)) * 5
NAMES = ("softmax", "softmin", "log_softmax")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_as_pytorch(name, axis):
    """Values and gradients are PyTorch's over every axis."""
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, name)
    compare(ops[f"autodiff_activations.{name}"], lambda x: function(x, dim=axis), X, axis=axis)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_glu_as_pytorch(axis):
    """Values and gradients are PyTorch's over every axis."""
    torch = pytest.importorskip("torch")
    compare(ops.glu, lambda x: torch.nn.functional.glu(x, dim=axis), X, axis=axis)


@pytest.mark.parametrize("name", NAMES)
def test_several_axes_are_as_one_of_their_product(name):
    """An axis may be a tuple."""
    op = ops[f"autodiff_activations.{name}"]
    np.testing.assert_allclose(op(X, axis=(1, 2)).reshape(4, 48), op(X.reshape(4, 48), axis=1), rtol=1e-13)


@pytest.mark.parametrize("name", [*NAMES, "glu"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_far_out_nothing_overflows(name, dtype):
    """At 10,000 to both sides values and gradients are finite and of the input's dtype; any warning is an error."""
    x = Value(np.array([[-1e4, 0.0, 1.0, 1e4], [1e4, 1e4, -1e4, -1e4]], dtype))
    y = ops[f"autodiff_activations.{name}"](x)
    y.backward(np.ones(y.shape, dtype))
    assert (np.isfinite(y.data).all(), np.isfinite(x.grad).all()) == (True, True)
    assert (str(y.dtype), str(x.grad.dtype)) == (dtype, dtype)


def test_a_sum_of_half_precision_does_not_overflow():
    """70,000 equal elements add up to more than float16 holds."""
    x = Value(np.zeros(70_000, np.float16))
    y = ops.log_softmax(x)
    np.testing.assert_allclose(ops.softmax(x).data[:2].astype(float), 1 / 70_000, rtol=2e-3)
    np.testing.assert_allclose(float(y.data[0]), -np.log(70_000), rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers(name):
    """Arrays of integers give what the same numbers give as floats."""
    op = ops[f"autodiff_activations.{name}"]
    np.testing.assert_allclose(op(np.array([1, 2, 3])), op(np.array([1.0, 2.0, 3.0])), rtol=1e-15)


@pytest.mark.parametrize(("shape", "axis"), [((3,), -1), ((4, 3), 1), ((4,), 1), ((), 0)])
def test_glu_of_what_has_no_halves_is_refused(shape, axis):
    """The error says which axis and which shape."""
    with pytest.raises(ArgumentError, match=rf"glu splits axis {axis} of x in two halves; x has the shape"):
        ops.glu(np.ones(shape), axis=axis)


def test_glu_of_nothing():
    """No rows are no rows."""
    x = Value(np.ones((0, 4)))
    y = ops.glu(x)
    y.backward(np.ones((0, 2)))
    assert (y.shape, x.grad.shape) == ((0, 2), (0, 4))
