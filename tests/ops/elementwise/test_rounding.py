"""Rounding, signs and neighbours: steps have the derivative 0, and that is PyTorch's choice too."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, ops

HALVES = np.arange(-6, 7) / 2
STEPS = ("floor", "ceil", "trunc", "round")


@pytest.mark.parametrize("name", STEPS)
def test_steps_as_numpy(name):
    """Values are NumPy's, halves and integers included."""
    assert ops[f"autodiff_ops.{name}"](HALVES).tolist() == getattr(np, name)(HALVES).tolist()


@pytest.mark.parametrize("name", STEPS)
def test_the_derivative_of_a_step_is_zero(name):
    """Everywhere, at the jumps too; what the step is part of keeps its own derivative."""
    step = ops[f"autodiff_ops.{name}"]
    x = Value(HALVES)
    (x - step(x)).sum().backward()
    assert (x.grad.tolist(), grad(lambda v: step(v).sum())(HALVES).tolist()) == ([1.0] * 13, [0.0] * 13)


@pytest.mark.parametrize("name", STEPS)
def test_an_infinite_cotangent_ends_at_a_step(name):
    """No gradient arrives, where a product with 0 would be NaN."""
    x = Value([0.5])
    (ops[f"autodiff_ops.{name}"](x) + 0.0 * x).backward([np.inf if name else 0.0])
    y = Value([0.5])
    (ops[f"autodiff_ops.{name}"](y) + y).backward([np.inf])
    assert y.grad.tolist() == [np.inf]


def test_numpys_own_names():
    """``rint``, ``fix`` and ``round`` of a Value reach the ops."""
    v = Value([-1.5, 2.5])
    assert [f(v).data.tolist() for f in (np.rint, np.fix, np.round)] == [[-2.0, 2.0], [-1.0, 2.0], [-2.0, 2.0]]


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_copysign_as_pytorch(sign):
    """Values and gradients are PyTorch's, with 0 at a zero of the first argument."""
    compare(ops.copysign, "copysign", HALVES, np.full(13, sign))


def test_copysign_of_signed_zeros():
    """A negative zero is negative, as a sign; where the size is 0 the gradient is."""
    x = Value([2.0, 2.0, 0.0])
    y = ops.copysign(x, np.array([0.0, -0.0, -1.0]))
    y.sum().backward()
    assert (np.signbit(y.data).tolist(), x.grad.tolist()) == ([False, True, True], [1.0, 1.0 - 2.0, 0.0])


def test_signbit_sees_negative_zero():
    """The sign is read off, not compared, and needs no gradient."""
    y = ops.signbit(Value([0.0, -0.0, -3.0, np.inf]))
    assert (y.data.tolist(), y.requires_grad) == ([False, True, True, False], False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nextafter_is_the_neighbour(dtype):
    """There is no number between, and the gradient is that of the number itself."""
    x = Value(np.array([0.0, 1.0], dtype))
    y = ops.nextafter(x, np.array([1.0, 0.0], dtype))
    y.sum().backward()
    expected = [float(np.finfo(dtype).smallest_subnormal), 1.0 - float(np.finfo(dtype).epsneg)]
    assert (y.data.astype(float).tolist(), str(y.dtype), x.grad.tolist()) == (expected, dtype, [1.0, 1.0])
