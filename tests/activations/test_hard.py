"""Hard activations: the ends of their pieces are PyTorch's, as everything between."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, ops
from autodiff.errors import ArgumentError

ENDS = np.array([-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 1e4, -1e4])
X = np.concatenate([ENDS, ENDS + 1e-3, ENDS - 1e-3])


@pytest.mark.parametrize(
    ("ours", "theirs", "attrs"),
    [
        ("relu6", "relu6", {}),
        ("hard_tanh", "hardtanh", {}),
        ("hard_tanh", "hardtanh", {"min_val": -0.5, "max_val": 3.0}),
        ("hard_sigmoid", "hardsigmoid", {}),
        ("hard_swish", "hardswish", {}),
    ],
)
def test_as_pytorch(ours, theirs, attrs):
    """Values and gradients are PyTorch's, at the ends of the pieces and beside them."""
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, theirs)
    tolerance = 1e-7 if ours == "hard_sigmoid" else 1e-12  # PyTorch multiplies with the sixth of a float32
    compare(ops[f"autodiff_activations.{ours}"], lambda x: function(x, **attrs), X, tolerance=tolerance, **attrs)


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, -2.0), (float("nan"), 1.0)])
def test_an_empty_range_is_refused(bounds):
    """The error says which bounds were given."""
    with pytest.raises(ArgumentError, match=rf"min_val was given {bounds[0]} and max_val {bounds[1]}; expected"):
        ops.hard_tanh(X, min_val=bounds[0], max_val=bounds[1])


@pytest.mark.parametrize("name", ["relu6", "hard_tanh", "hard_sigmoid", "hard_swish"])
@pytest.mark.parametrize("size", [2, 5000], ids=["few", "many"])
def test_an_infinite_cotangent_outside_becomes_zero(name, size):
    """Where the function is constant the gradient is 0, whatever arrives."""
    x = Value(np.full(size, -7.0))
    ops[f"autodiff_activations.{name}"](x).backward(np.full(size, np.inf))
    assert x.grad.tolist() == [0.0] * size
