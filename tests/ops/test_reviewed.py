"""Cases that a review found: sizes beyond half precision, empty reductions, complex activations, spellings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad, ops
from autodiff.errors import AutodiffError


def test_mean_of_more_elements_than_float16_can_count() -> None:
    """The gradient of a float16 mean over 70,000 elements is 1/70,000, rounded, and not 0."""
    g = grad(lambda x: x.mean())(np.ones(70_000, np.float16))

    np.testing.assert_allclose(g.astype(float), 1 / 70_000, rtol=2e-2)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(3, 0), (0, 3)])
def test_softmax_of_nothing(name: str, shape: tuple[int, int]) -> None:
    """Empty in, empty out, and an empty gradient."""
    x = Value(np.zeros(shape))
    y = getattr(ops, name)(x)
    y.sum().backward()

    assert (y.shape, x.grad.shape) == (shape, shape)


def test_logsumexp_of_nothing() -> None:
    """The logarithm of an empty sum is -inf."""
    x = Value(np.zeros((3, 0)))
    y = ops.logsumexp(x, axis=-1)
    y.sum().backward()

    assert y.data.tolist() == [-np.inf] * 3
    assert x.grad.shape == (3, 0)
    assert ops.logsumexp(x, axis=0, keepdims=True).shape == (1, 0)


@pytest.mark.parametrize("z", [1 + 1j, np.array([1 + 1j])], ids=["number", "array"])
def test_relu_refuses_complex_numbers(z: Any) -> None:
    """They have no order."""
    with pytest.raises(AutodiffError):
        ops.relu(Value(z))


def test_clip_and_where_by_position() -> None:
    """NumPy's signatures, with numbers and with arrays for bounds."""
    x = Value(np.array([-1.0, 0.5, 3.0]))

    assert np.clip(x, 0, 1).data.tolist() == [0.0, 0.5, 1.0]
    assert np.clip(x, None, np.array([0.0, 0.0, 2.0])).data.tolist() == [-1.0, 0.0, 2.0]
    assert np.where(x > 0, x, 0.0).data.tolist() == [0.0, 0.5, 3.0]
    assert [places.tolist() for places in np.where(x > 0)] == [[1, 2]]
    with pytest.raises(AutodiffError, match="one choice"):
        np.where(x > 0, x)
