"""Running sums and products: agreement with PyTorch, long ones, half precision."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).normal(size=(3, 5, 2))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("name", "theirs"), [("cumulative_sum", "cumsum"), ("cumulative_prod", "cumprod")])
def test_as_pytorch(name, theirs, axis):
    """Values and gradients are PyTorch's, with and without zeros, real and complex."""
    torch = pytest.importorskip("torch")
    op, function = ops[f"autodiff_ops.{name}"], getattr(torch, theirs)
    some = np.where(np.abs(X) < 0.6, 0.0, X)
    for x in (X, some, X + 1j * X[::-1]):
        compare(lambda v: op(v, axis=axis), lambda v: function(v, axis), x)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 31, 257])
def test_every_length_as_pytorch(name, size):
    """Gradients are right for lengths that are powers of two, and for those that are not."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(size).uniform(0.9, 1.1, size)
    function = {"cumulative_sum": torch.cumsum, "cumulative_prod": torch.cumprod}[name]
    compare(ops[f"autodiff_ops.{name}"], lambda v: function(v, 0), x)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_the_initial_element_is_constant(name):
    """What stands before the first sum or product depends on nothing."""
    x = Value(np.array([2.0, 3.0]))
    y = ops[f"autodiff_ops.{name}"](x, include_initial=True)
    y.backward(np.array([1.0, 0.0, 0.0]))
    assert (y.shape, x.grad.tolist()) == ((3,), [0.0, 0.0])


def test_half_precision_is_summed_in_single():
    """Running sums and their gradients reach what float16 cannot count to."""
    x = Value(np.ones(30_000, np.float16))
    y = ops.cumulative_sum(x)
    y.backward(np.ones(30_000, np.float16))
    assert (y.dtype, float(y.data[-1]), float(x.grad[0])) == (np.dtype(np.float16), 30_000.0, 30_000.0)
    product = ops.cumulative_prod(np.array([1e-4, 1e-4, 3e4, 3e4], np.float16))
    assert float(product[-1]) == pytest.approx(9.0, rel=1e-2)  # in between it is smaller than any float16


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_the_axis_is_needed_for_matrices(name):
    """Without an axis, or with one that does not exist, more than one dimension is an error."""
    for axis in (None, 3, -4):
        with pytest.raises(AutodiffError, match=f"{name}.*{axis}"):
            ops[f"autodiff_ops.{name}"](Value(X), axis=axis)
