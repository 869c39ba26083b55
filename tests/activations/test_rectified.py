"""Rectifiers: both sides of the kink, bad parameters, and agreement with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, ops
from autodiff.errors import ArgumentError

X = np.concatenate([np.random.default_rng(0).normal(size=37) * 3, [0.0, -0.0, 1e4, -1e4]])


def functional(name, **options):
    """Return a function of `torch.nn.functional`."""
    torch = pytest.importorskip("torch")
    return lambda *xs: getattr(torch.nn.functional, name)(*xs, **options)


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("relu", {}),
        ("leaky_relu", {}),
        ("leaky_relu", {"negative_slope": 0.2}),
        ("leaky_relu", {"negative_slope": -0.2}),
        ("elu", {}),
        ("elu", {"alpha": 0.3}),
        ("elu", {"alpha": 0.0}),
        ("selu", {}),
        ("celu", {}),
        ("celu", {"alpha": 0.25}),
    ],
)
def test_as_pytorch(name, attrs):
    """Values and gradients are PyTorch's, at 0 and far out too."""
    compare(ops[f"autodiff_activations.{name}"], functional(name, **attrs), X, **attrs)


def test_prelu_as_pytorch():
    """Values, and the gradients of the input and of one weight for each channel, are PyTorch's."""
    torch = pytest.importorskip("torch")
    x = X[:36].reshape(3, 4, 3)
    weight = np.array([0.1, 0.25, 0.0, -0.5])
    compare(lambda v, w: ops.prelu(v, w.reshape(4, 1)), torch.nn.functional.prelu, x, weight)


@pytest.mark.parametrize(("name", "alpha"), [("elu", -0.5), ("celu", 0.0), ("celu", -1.0), ("elu", float("nan"))])
def test_parameters_without_a_meaning_are_refused(name, alpha):
    """The error says which number was given and what is expected."""
    with pytest.raises(ArgumentError, match=rf"alpha was given {alpha}; expected a number >"):
        ops[f"autodiff_activations.{name}"](X, alpha=alpha)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "celu"])
@pytest.mark.parametrize("size", [3, 5000], ids=["few", "many"])
def test_an_infinite_cotangent_meets_no_zero(name, size):
    """Above 0 it passes, below it is scaled; nowhere does it become NaN by the other side's zero."""
    x = Value(np.resize([1.0, -800.0, 2.0], size))
    ops[f"autodiff_activations.{name}"](x).backward(np.resize([np.inf, 1.0, -np.inf], size))
    assert x.grad[:3:2].tolist() == [np.inf, -np.inf]
    assert np.isfinite(x.grad[1])


def test_nan_stays_nan():
    """A NaN is on neither side of 0."""
    for name in ("relu", "leaky_relu", "elu", "selu", "celu", "relu6", "hard_tanh", "hard_swish", "hard_sigmoid"):
        assert np.isnan(ops[f"autodiff_activations.{name}"](np.array([np.nan]))).tolist() == [True], name
