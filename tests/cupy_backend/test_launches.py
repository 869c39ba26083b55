"""What a pass costs on a device: launches are counted exactly, and nothing is copied or waited for."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import Value, ops

#: Launches of forward and backward pass, without the seed's.
LAUNCHES = {
    "relu": (1, 1),
    "tanh": (1, 1),
    "sigmoid": (1, 1),
    "softplus": (1, 1),
    "silu": (1, 1),
    "mish": (1, 1),
    "elu": (1, 1),
    "gelu": (1, 1),
    "leaky_relu": (1, 1),
    "hard_swish": (1, 1),
    "exp": (1, 1),
    "softmax": (3, 2),
    "log_softmax": (3, 2),
    "sum": (1, 1),
}


def launches(counted, function):
    """Return the launches of a call, made once before so that no kernel is compiled in it; nothing else may happen."""
    function()
    with counted() as counts:
        function()
    assert {name: counts[name] for name in ("h2d", "d2h", "syncs")} == {"h2d": 0, "d2h": 0, "syncs": 0}
    return counts["launches"]


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_of_an_op(cupy, counted, name):
    """Forward and backward pass of an op take the launches that the table says."""
    op = getattr(ops, name)
    x = Value(cupy.linspace(-2.0, 2.0, 12).reshape(3, 4))
    y = op(x)
    seed = cupy.ones_like(y.data)

    def backward():
        x.zero_grad()
        y.backward(seed, retain_graph=True)

    assert (launches(counted, lambda: op(x)), launches(counted, backward)) == LAUNCHES[name]


def test_reading_by_device_indices_is_undone_without_a_copy(cupy, counted):
    """The gradient of reading by an index array on the device is one launch, and no transfer."""
    x = Value(cupy.linspace(-2.0, 2.0, 12).reshape(3, 4))
    y = x[cupy.asarray([0, 2, 0])]
    seed = cupy.ones_like(y.data)

    def backward():
        x.zero_grad()
        y.backward(seed, retain_graph=True)

    assert launches(counted, backward) == 1


def test_a_training_step_copies_nothing(cupy, counted):
    """Forward pass, backward pass and update of a small network never wait for the device."""
    rng = np.random.default_rng(0)
    parameters = [Value(cupy.asarray(rng.standard_normal(shape))) for shape in ((8, 4), (8,), (8,), (8,), (3, 8), (3,))]
    w1, b1, gain, shift, w2, b2 = parameters
    x, labels = cupy.asarray(rng.standard_normal((5, 4))), cupy.asarray([0, 1, 2, 1, 0])
    optimiser = nn.Adam(parameters, lr=1e-3)

    def step():
        optimiser.zero_grad()
        h = ops.layer_norm(ops.linear(x, w1, b1), gain, shift).relu()
        ops.cross_entropy_with_logits(ops.linear(h, w2, b2), labels).mean().backward()
        optimiser.step()

    assert launches(counted, step) < 150
