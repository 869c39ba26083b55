"""What vanishes beside a 1 may underflow: activations and logarithms of sums never raise for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops

FAR = [-2000.0, -400.0, -100.0, -88.0, -50.0, 0.0, 2000.0]
NAMES = ["sigmoid", "softplus", "log_sigmoid", "silu", "mish", "softmax", "softmin", "log_softmax", "logsumexp"]


def _gradient(name: str, x: Any) -> Any:
    value = Value(x)
    y = getattr(ops, name)(value)
    y.backward(np.ones(y.shape, y.dtype))
    return y.data, value.grad


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("repeat", [1, 50_000])
def test_underflow_is_no_error(name: str, dtype: str, repeat: int) -> None:
    """Of few and of many numbers, forward and backward; and the results are those of other settings."""
    x = np.tile(np.array(FAR, dtype), (repeat, 1))
    wanted = _gradient(name, x)
    with np.errstate(all="raise"):
        found = _gradient(name, x)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("name", NAMES[:5])
@pytest.mark.parametrize("x", FAR)
def test_underflow_of_one_number_is_no_error(name: str, x: float) -> None:
    """A number is as an array of one."""
    with np.errstate(all="raise"):
        y, dx = _gradient(name, x)
    np.testing.assert_allclose([y], _gradient(name, np.array([x]))[0])
    np.testing.assert_allclose([dx], _gradient(name, np.array([x]))[1])


def test_underflow_in_cross_entropy_is_no_error() -> None:
    """Classes far below the greatest add nothing."""
    x = Value(np.array([FAR]))
    with np.errstate(all="raise"):
        loss = ops.cross_entropy_with_logits(x, np.array([0]), axis=-1)
        loss.sum().backward()
    assert loss.data.tolist() == [4000.0]
    assert x.grad.tolist() == [[-1, 0, 0, 0, 0, 0, 1]]


def test_overflow_is_told_as_before() -> None:
    """Only what vanishes is silent."""
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="overflow"):
        ops.softmax(np.array([1e308, -1e308]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("repeat", [1, 50_000])
def test_underflow_is_no_warning_that_is_an_error(name: str, repeat: int) -> None:
    """Where NumPy is told to warn, and warnings are errors, as they are in these tests."""
    x = np.tile(np.array(FAR), (repeat, 1))
    wanted = _gradient(name, x)
    with np.errstate(all="warn"):
        found = _gradient(name, x)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])
