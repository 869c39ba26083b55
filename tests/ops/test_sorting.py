"""Sorting: agreement with PyTorch, ties, descending order, where numbers would stand."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) / 3
TIES = np.array([2.0, 1.0, 2.0, 1.0, 1.0])


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sort_as_pytorch(axis, descending):
    """Values and gradients are PyTorch's, along each axis and in both directions."""
    torch = pytest.importorskip("torch")
    compare(
        lambda x: ops.sort(x, axis=axis, descending=descending),
        lambda x: torch.sort(x, axis, descending).values,
        X,
    )


@pytest.mark.parametrize("descending", [False, True])
def test_ties_keep_their_order(descending):
    """Among equal elements the first stays first, for indices and for gradients."""
    torch = pytest.importorskip("torch")
    order = ops.argsort(TIES, descending=descending)
    wanted = torch.sort(torch.tensor(TIES), stable=True, descending=descending).indices
    assert order.tolist() == wanted.tolist()
    x = Value(TIES)
    ops.sort(x, descending=descending).backward(np.arange(5.0))
    assert x.grad[wanted.numpy()].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("name", ["sort", "argsort"])
@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_does_not_exist(name, axis):
    """A wrong axis is an error that names the op."""
    with pytest.raises(AutodiffError, match=name):
        ops[f"autodiff_ops.{name}"](Value(X[0]), axis=axis)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted_is_numpys(side):
    """Places are NumPy's, for values of any shape, lists, and through a sorter."""
    x1, x2 = np.array([1.0, 2.0, 2.0, 3.0]), np.array([[0.0, 2.0], [2.5, 9.0]])
    wanted = np.searchsorted(x1, x2, side=side)
    for found in (
        ops.searchsorted(x1, x2, side=side),
        ops.searchsorted([1, 2, 2, 3], x2, side=side),
        ops.searchsorted(x1[::-1].copy(), x2, side=side, sorter=(3, 2, 1, 0)),
        ops.searchsorted(x1[::-1].copy(), x2, side=side, sorter=np.array([3, 2, 1, 0])),
        ops.searchsorted(Value(x1), Value(x2), side=side).data,
    ):
        assert found.tolist() == wanted.tolist()
    with pytest.raises(AutodiffError, match="'middle'"):
        ops.searchsorted(x1, x2, side="middle")
