"""Comparisons, tests of numbers, and choices: ties, bounds, NaN, and agreement with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, ops

A = np.random.default_rng(0).integers(-2, 3, size=(5, 6)).astype(float)  # with ties
B = np.random.default_rng(1).integers(-2, 3, size=(6,)).astype(float)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_extremes_as_pytorch(name):
    """Gradients are PyTorch's, at ties too, summed over what was broadcast."""
    compare(ops[f"autodiff_ops.{name}"], name, A, B)


@pytest.mark.parametrize("bounds", [{"min": -1.0, "max": 1.0}, {"min": 0}, {"max": 1}, {"min": 1.0, "max": -1.0}])
def test_clip_as_pytorch(bounds):
    """Gradients are PyTorch's: 1 at a bound; with bounds that cross every element is the upper one."""
    compare(ops.clip, lambda x: x.clip(**bounds), A, **bounds)


def test_clip_without_bounds():
    """Nothing is clipped, and the gradient passes as it is."""
    x = Value([-5.0, np.inf])
    y = x.clip()
    y.backward([1.0, 2.0])
    assert (y.data.tolist(), x.grad.tolist()) == ([-5.0, np.inf], [1.0, 2.0])


def test_clip_is_a_method_with_bounds_by_position():
    """As in NumPy, ``x.clip(0, 1)``."""
    assert Value([-1.0, 0.5, 2.0]).clip(0, 1).data.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("op", [ops.minimum, ops.maximum, lambda x, y: ops.clip(x, min=0.0, max=1.0)])
def test_nan_stays_nan(op):
    """NaN in gives NaN out, whichever branch it would take."""
    assert np.isnan(op(Value([np.nan]), Value([1.0])).data).tolist() == [True]


def test_an_infinite_cotangent_is_not_multiplied_by_zero():
    """What was not chosen gets 0, where a product would give NaN."""
    x, y, z = Value([1.0, 3.0]), Value([2.0, 2.0]), Value([5.0, 0.5])
    ops.minimum(x, y).backward([np.inf, -np.inf])
    ops.clip(z, min=0.0, max=1.0).backward([np.inf, np.inf])
    assert (x.grad.tolist(), y.grad.tolist(), z.grad.tolist()) == ([np.inf, 0.0], [0.0, -np.inf], [0.0, np.inf])


def test_the_second_derivative_of_a_minimum_is_zero():
    """It is linear on either side, and the choice at a tie does not depend on where the tie is."""
    assert float(grad(grad(lambda x: ops.minimum(x * 3.0, 2.0)))(0.5)) == 0.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("isnan", [0, 1, 0, 0]), ("isinf", [0, 0, 1, 1]), ("isfinite", [1, 0, 0, 0])],
)
@pytest.mark.parametrize("kind", [float, complex])
def test_tests_of_numbers(name, expected, kind):
    """They see NaN and both infinities, in complex numbers too, and need no gradient."""
    y = ops[f"autodiff_ops.{name}"](Value(np.array([0.0, np.nan, np.inf, -np.inf], kind)))
    assert (y.data.tolist(), y.requires_grad, y.dtype) == ([bool(e) for e in expected], False, np.bool_)


def test_where_selects_as_pytorch():
    """The branch taken gets the gradient; a condition that broadcasts, too."""
    torch = pytest.importorskip("torch")
    mask = A[:, :1] > 0
    compare(lambda x, y: ops.where(mask, x, y), lambda x, y: torch.where(torch.tensor(mask), x, y), A, B)
