"""Everything on a second array library, which has what the array API standard promises, and no more."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("array_api_strict")

from strict_backend import Array, StrictBackend

import autodiff_nn as nn
from autodiff import Value, ops
from autodiff.errors import ArgumentTypeError
from autodiff.registry import registry


@pytest.fixture(autouse=True)
def _strict():
    """Register the backend for one test."""
    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        yield


def on(backend, array):
    """Return a NumPy array on a backend."""
    return registry.backend(backend).asarray(array)


def trained(backend, optimizer, loss):
    """Train a network of most layers on a backend for three steps; return its state as NumPy arrays."""
    model = nn.Sequential(
        nn.Linear(3, 4, generator=0, backend=backend),
        nn.BatchNorm1d(4, backend=backend),
        ops.tanh,
        nn.LayerNorm(4, backend=backend),
        nn.Linear(4, 3, bias=False, generator=1, backend=backend),
    )
    optimizer = optimizer(model.parameters())
    for i in range(3):
        x = on(backend, np.random.default_rng(i).normal(size=(5, 3)))
        optimizer.zero_grad()
        loss(model(Value(x, requires_grad=False)), backend).backward()
        nn.clip_grad_norm(model.parameters(), 1.0)
        nn.clip_grad_value(model.parameters(), 0.5)
        optimizer.step()
    return {name: registry.backend(backend).to_numpy(array) for name, array in model.state_dict().items()}


LABELS = np.array([0, 1, 2, -100, 1])
REAL = np.random.default_rng(9).uniform(size=(5, 3))

LOSSES = {
    "labels": lambda y, b: nn.cross_entropy(y, on(b, LABELS)),
    "smoothed": lambda y, b: nn.cross_entropy(
        y, on(b, LABELS), weight=on(b, np.array([1.0, 2.0, 3.0])), label_smoothing=0.1
    ),
    "nll": lambda y, b: nn.nll_loss(y, on(b, LABELS)),
    "mse": lambda y, b: nn.mse_loss(y, on(b, REAL)),
    "huber": lambda y, b: nn.huber_loss(y, on(b, REAL)),
    "binary": lambda y, b: nn.binary_cross_entropy_with_logits(y, on(b, REAL)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_training_is_that_on_numpy(name):
    """Three steps of Adam with clipping end at the same parameters and buffers."""
    expected = trained("numpy", nn.Adam, LOSSES[name])
    actual = trained("strict", nn.Adam, LOSSES[name])

    assert list(expected) == list(actual)
    for key, array in expected.items():
        np.testing.assert_allclose(actual[key], array, rtol=1e-7, atol=1e-10, err_msg=key)


def test_momentum_is_that_on_numpy():
    """So do three steps of descent with momentum."""

    def make(parameters):
        return nn.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)

    expected = trained("numpy", make, LOSSES["mse"])
    actual = trained("strict", make, LOSSES["mse"])

    for key, array in expected.items():
        np.testing.assert_allclose(actual[key], array, rtol=1e-7, atol=1e-10, err_msg=key)


def test_a_module_moves_with_its_optimiser():
    """Trained for a step, moved, and trained on: the numbers are those of training on one backend."""

    def train(moves):
        model = nn.Sequential(nn.Linear(3, 4, generator=0), nn.BatchNorm1d(4), nn.Linear(4, 2, generator=1))
        first = next(model.parameters())
        optimizer = nn.Adam(model.parameters())
        for i, device in enumerate(moves):
            assert model.to(device) is model
            assert next(model.parameters()) is first
            optimizer.step()  # with the gradient that moved along
            x = np.random.default_rng(i).normal(size=(5, 3))
            x = Value(x).to(device).data
            optimizer.zero_grad()
            (model(Value(x, requires_grad=False)) ** 2).mean().backward()
        optimizer.step()
        return first, {name: on_numpy(array) for name, array in model.state_dict().items()}

    def on_numpy(array):
        return registry.backend_of(type(array)).to_numpy(array)

    _, expected = train(["numpy"] * 4)
    first, actual = train(["numpy", "strict", "strict:device2", "strict:device1"])
    assert (first.backend, first.device, type(first.grad)) == ("strict", "device1", Array)
    assert list(expected) == list(actual)
    for key, array in expected.items():
        np.testing.assert_allclose(actual[key], array, rtol=1e-7, atol=1e-10, err_msg=key)


def test_a_move_that_fails_moves_nothing():
    """An unknown device is an error, and the module is where it was."""
    layer = nn.Linear(2, 1)
    with pytest.raises(ArgumentTypeError, match="moon"):
        layer.to("strict:moon")
    assert (layer.weight.backend, layer.bias.backend) == ("numpy", "numpy")


def test_a_state_may_come_from_another_backend():
    """Loading moves NumPy's arrays to where the parameters are."""
    layer = nn.Linear(2, 1, backend="strict")
    layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])})

    assert type(layer.weight.data) is Array
    assert layer(Value(on("strict", np.ones((1, 2))))).numpy().tolist() == [[6.0]]
