"""Triangles and diagonals: agreement with PyTorch for every offset, of stacks and of matrices that are not square."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.parametrize("k", range(-4, 6))
@pytest.mark.parametrize("name", ["tril", "triu"])
def test_triangles_as_pytorch(name, k):
    """Values and gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    compare(lambda x: ops[f"autodiff_ops.{name}"](x, k=k), lambda x: getattr(torch, name)(x, k), X)


_AXES = [(-2, -1), (0, 1), (2, 0), (-1, 1)]


@pytest.mark.parametrize(
    ("axes", "offset"), [(axes, k) for axes in _AXES for k in range(-X.shape[axes[0]], X.shape[axes[1]] + 1)]
)
def test_diagonals_as_pytorch(axes, offset):
    """Values and gradients are PyTorch's, in either order of the axes, as far as diagonals reach."""
    torch = pytest.importorskip("torch")
    options = {"offset": offset, "axis1": axes[0], "axis2": axes[1]}
    compare(lambda x: ops.diagonal(x, **options), lambda x: torch.diagonal(x, offset, *axes), X)
    compare(lambda x: ops.trace(x, **options), lambda x: torch.diagonal(x, offset, *axes).sum(-1), X)


@pytest.mark.parametrize("offset", [-9, 9])
def test_beyond_the_matrix_there_is_nothing(offset):
    """A diagonal outside of the matrix is empty, as NumPy's, its trace 0 and the gradient zeros."""
    x = Value(X)
    assert ops.diagonal(x, offset=offset).shape == np.diagonal(X, offset, -2, -1).shape
    ops.trace(x, offset=offset).sum().backward()
    assert (x.grad.shape, x.grad.any()) == (X.shape, np.False_)


def test_one_axis_makes_no_matrix():
    """The same axis twice, or none such, is an error."""
    for axes in ((0, 0), (1, -2), (0, 3)):
        with pytest.raises(AutodiffError, match="diagonal"):
            ops.diagonal(Value(X), axis1=axes[0], axis2=axes[1])
