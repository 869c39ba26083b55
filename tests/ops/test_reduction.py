"""Reductions: agreement with PyTorch, ties, NaN, half precision, axes that do not exist."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) / 7 - 1.5
AXES = [None, 0, -1, (0, 2), (-1, 0), (1,)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(("name", "theirs"), [("sum", "sum"), ("mean", "mean"), ("max", "amax"), ("min", "amin")])
def test_reductions_as_pytorch(name, theirs, axis, keepdims):
    """Values and gradients are PyTorch's, over one axis, several in any order, or all."""
    torch = pytest.importorskip("torch")
    axes = tuple(range(3)) if axis is None else axis
    op = ops[f"autodiff_ops.{name}"]
    compare(lambda x: op(x, axis=axis, keepdims=keepdims), lambda x: getattr(torch, theirs)(x, axes, keepdims), X)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_prod_as_pytorch(axis, zeros):
    """Values and gradients are PyTorch's, with zeros in some places."""
    torch = pytest.importorskip("torch")
    x = X.copy()
    x[0, 1, :zeros] = 0.0
    compare(lambda v: ops.prod(v, axis=axis), lambda v: torch.prod(v, axis), x)
    compare(ops.prod, torch.prod, x)


@pytest.mark.parametrize("axis", [None, 0, (0, 2)])
def test_nan_reductions_as_pytorch(axis):
    """NaN counts for nothing, and gets no gradient."""
    torch = pytest.importorskip("torch")
    x = np.where(X > 1, np.nan, X)
    compare(lambda v: ops.nansum(v, axis=axis), lambda v: torch.nansum(v, axis), x)
    compare(lambda v: ops.nanmean(v, axis=axis), lambda v: torch.nanmean(v, axis), x)


def test_nanmean_of_nothing_but_nan():
    """The mean is NaN and the gradient 0, while other rows are untouched."""
    x = Value(np.array([[np.nan, np.nan], [1.0, 3.0]]))
    with np.errstate(invalid="ignore"):
        y = ops.nanmean(x, axis=1)
    y.backward(np.ones(2))
    assert (np.isnan(y.data).tolist(), x.grad.tolist()) == ([True, False], [[0.0, 0.0], [0.5, 0.5]])


def test_minimum_ties_share_evenly():
    """Elements that tie share the gradient, over each axis by itself."""
    x = Value(np.array([[1.0, 1.0, 2.0], [4.0, 3.0, 5.0]]))
    ops.min(x, axis=1).sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("name", ["sum", "nansum"])
def test_half_precision_is_summed_in_single(name):
    """30 000 ones add up, although float16 counts to 2048 only."""
    total = ops[f"autodiff_ops.{name}"](np.ones(30_000, np.float16))
    assert (total.dtype, float(total)) == (np.dtype(np.float16), 30_000.0)


@pytest.mark.parametrize("shape", [(40_000,), (40_000, 2)])
def test_logsumexp_of_half_precision(shape):
    """Its sum of exponentials does not fit into float16, its logarithm does."""
    x = (np.random.default_rng(0).random(shape) * 2).astype(np.float16)
    y = ops.logsumexp(x, axis=0)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, np.log(np.exp(x.astype(float)).sum(axis=0)), rtol=1e-3)


def test_half_precision_averages_and_products():
    """Intermediate results above the range of float16 do not overflow."""
    x = np.full(70_000, 3.0, np.float16)
    assert float(ops.nanmean(x)) == 3.0
    assert float(ops.prod(np.array([300.0, 300.0, 0.001], np.float16))) == pytest.approx(90.0, rel=1e-3)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "nansum", "nanmean", "logsumexp"])
@pytest.mark.parametrize("axis", [2, -3, (0, 2), (0, 0), "rows"])
def test_axes_that_do_not_exist(name, axis):
    """A wrong axis is an error that names the op and the axis."""
    with pytest.raises(AutodiffError, match=name):
        ops[f"autodiff_ops.{name}"](Value(X[0]), axis=axis)


@pytest.mark.parametrize("name", ["min", "prod"])
def test_methods(name):
    """They are methods of a Value too, with the axis by position."""
    assert getattr(Value(X), name)(0).data.tolist() == getattr(np, name)(X, 0).tolist()


@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "max", "min"])
def test_integers_and_lists(name):
    """Integers give NumPy's integers, and lists are taken as arrays."""
    op = ops[f"autodiff_ops.{name}"]
    n = np.array([[1, 2], [3, 4]])
    assert (op(n).dtype, int(op(n))) == (np.dtype(np.int64), int(getattr(np, name)(n)))
    assert float(op([[1, 2], [3, 4]])) == float(op(n))
