"""Variance, standard deviation, norms: agreement with PyTorch, corrections, half precision, extreme orders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).normal(size=(3, 4, 2))
Z = X[..., 0] + 1j * X[..., 1]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("correction", [0, 1, 2])
@pytest.mark.parametrize("axis", [0, -2, (2, 0)])
@pytest.mark.parametrize("name", ["var", "std"])
def test_spread_as_pytorch(name, axis, correction, keepdims):
    """Values and gradients are PyTorch's, for each correction."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch, name)
    op = ops[f"autodiff_ops.{name}"]
    options = {"correction": correction}
    compare(
        lambda x: op(x, axis=axis, keepdims=keepdims, **options),
        lambda x: theirs(x, axis, keepdim=keepdims, **options),
        X,
    )


@pytest.mark.parametrize("axis", [None, 1, (0, -1)])
@pytest.mark.parametrize("ord", [2, 1, 3, 1.5, -1, math.inf, -math.inf])
def test_norms_as_pytorch(ord, axis):
    """Values and gradients are PyTorch's, of real and of complex vectors."""
    torch = pytest.importorskip("torch")
    compare(lambda x: ops.norm(x, axis=axis, ord=ord), lambda x: torch.linalg.vector_norm(x, ord, axis), X)


@pytest.mark.parametrize("ord", [2, 1, 3, math.inf])
def test_complex_norms_as_pytorch(ord):
    """Values and gradients are PyTorch's for complex numbers."""
    torch = pytest.importorskip("torch")
    compare(lambda z: ops.norm(z, axis=0, ord=ord), lambda z: torch.linalg.vector_norm(z, ord, 0), Z)


def test_largest_elements_share_the_norm():
    """Of the maximum norm, elements that tie in size get even shares with their own signs."""
    x = Value([-3.0, 1.0, 3.0])
    ops.norm(x, ord=math.inf).backward()
    assert x.grad.tolist() == [-0.5, 0.0, 0.5]


def test_the_number_of_elements_that_are_not_zero():
    """The norm of order 0 counts, and nothing depends on it."""
    x = Value([[0.0, 2.0], [-1.0, 3.0]])
    y = ops.norm(x, axis=1, ord=0)
    y.sum().backward()
    assert (y.data.tolist(), x.grad) == ([1.0, 2.0], None)


def test_more_corrections_than_elements():
    """One element has no unbiased variance: value and gradient are NaN."""
    x = Value(np.array([3.0]))
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="freedom"):
        y = ops.var(x, correction=1)
    y.backward()
    assert (np.isnan(y.data).item(), np.isnan(x.grad).item()) == (True, True)


@pytest.mark.parametrize("number", [100.0, 300.0])
def test_half_precision(number):
    """Squares and sums above the range of float16 do not overflow on the way."""
    x = np.array([number, -number] * 1000, np.float16)
    assert float(ops.std(x)) == number
    assert float(ops.norm(x[:4])) == 2 * number
    v = Value(x)
    ops.std(v).backward()
    np.testing.assert_allclose(v.grad.astype(float), np.sign(x) / 2000, rtol=1e-3)


def test_a_large_mean():
    """The gradient does not drown in the rounding of a mean that is large beside the deviations."""
    d = np.array([1.0, 2.0, 4.0])
    near, far = Value(d), Value(d + 2.0**40)
    for x in (near, far):
        ops.var(x).backward()
    np.testing.assert_allclose(far.grad, near.grad, rtol=1e-12)


@pytest.mark.parametrize("ord", ["fro", None, True, "2"])
def test_norm_takes_a_number(ord):
    """An order that is no number is an error that shows it."""
    with pytest.raises(AutodiffError, match=f"ord.*{ord!r}"):
        ops.norm(Value(X), ord=ord)


@pytest.mark.parametrize("name", ["std", "var"])
def test_methods(name):
    """They are methods of a Value too."""
    np.testing.assert_allclose(getattr(Value(X), name)(0, correction=1).data, getattr(np, name)(X, 0, ddof=1))
