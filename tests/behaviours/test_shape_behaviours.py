"""Shapes: empty axes, axes in any order, indices that repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from finite import central

from autodiff import Value, ops


def test_11_broadcast_with_an_empty_dimension() -> None:
    """(4, 1) + (4, 0) has no element: the gradients are zeros of (4, 1) and nothing of (4, 0)."""
    x, y = Value(np.ones((4, 1))), Value(np.ones((4, 0)))
    (x + y).sum().backward()
    assert x.grad.tolist() == [[0.0]] * 4
    assert y.grad.shape == (4, 0)


@pytest.mark.parametrize("shapes", [((2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 2))])
def test_14_matmul_with_an_empty_dimension(shapes: Any) -> None:
    """Products over or beside an empty dimension have gradients of the right shape, all zero."""
    x, y = Value(np.ones(shapes[0])), Value(np.ones(shapes[1]))
    (x @ y).sum().backward()
    assert (x.grad.shape, y.grad.shape) == shapes
    assert not x.grad.any()
    assert not y.grad.any()


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 0), (-1, 0), (1, -3), (), (0, 1, 2)])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "logsumexp"])
def test_15_axes_unsorted_negative_and_kept(name: str, axis: Any, keepdims: bool) -> None:
    """Reductions over any axes, in any order, agree with central differences."""
    rng = np.random.default_rng(3)
    data = rng.permutation(24).reshape(2, 3, 4) / 7.0
    op = ops[f"autodiff_ops.{name}"]
    x = Value(data.copy())
    y = op(x, axis=axis, keepdims=keepdims)
    weights = rng.normal(size=y.shape)
    (y * weights).sum().backward()
    wanted = central(lambda a: (op(a, axis=axis, keepdims=keepdims) * weights).sum(), data)
    np.testing.assert_allclose(x.grad, wanted, rtol=1e-6, atol=1e-8)
    reduced = range(3) if axis is None else {a % 3 for a in (axis if isinstance(axis, tuple) else (axis,))}
    kept = tuple(1 if i in reduced else n for i, n in enumerate(data.shape) if keepdims or i not in reduced)
    assert y.shape == kept


def test_18_gather_with_repeated_indices_adds() -> None:
    """An element that is read twice receives both gradients."""
    y = Value(np.array([1.0, 2.0]))
    (y[[0, 0]] * np.array([2.0, 5.0])).sum().backward()
    assert y.grad.tolist() == [7.0, 0.0]


def test_18_gather_of_rows_that_repeat() -> None:
    """So does a row."""
    y = Value(np.zeros((3, 2)))
    (y[np.array([2, 0, 2, 2])] * np.arange(8.0).reshape(4, 2)).sum().backward()
    assert y.grad.tolist() == [[2.0, 3.0], [0.0, 0.0], [10.0, 13.0]]


def test_20_scatter_with_duplicates_rewards_the_winner() -> None:
    """Of two writes to one place only the one that is left there gets the gradient."""
    x, w = Value(np.ones(3)), Value(np.array([5.0, 6.0]))
    y = x * 1
    y[[0, 0]] = w
    assert y.data.tolist() == [6.0, 1.0, 1.0]
    y.sum().backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([0.0, 1.0, 1.0], [0.0, 1.0])


def test_20_scatter_of_a_broadcast_value_with_duplicates() -> None:
    """A single number written twice to one place counts once."""
    x, w = Value(np.ones(3)), Value(5.0)
    y = x * 1
    y[[0, 0, 2]] = w
    y.sum().backward()
    assert (x.grad.tolist(), w.grad) == ([0.0, 1.0, 0.0], 2.0)
