"""Indices, counts and truths: NumPy's answers, and no gradient."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, ops

X = np.array([[0.0, 3.0, 3.0], [-1.0, 2.0, -1.0]])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin", "all", "any", "count_nonzero"])
def test_answers_are_numpys(name, axis, keepdims):
    """Of arrays the answer is a raw array, of a Value a Value without a gradient; the first of ties counts."""
    op, wanted = ops[f"autodiff_ops.{name}"], getattr(np, name)(X, axis=axis, keepdims=keepdims)
    raw, value = op(X, axis=axis, keepdims=keepdims), op(Value(X), axis=axis, keepdims=keepdims)
    assert (type(value), value.requires_grad, hasattr(raw, "requires_grad")) == (Value, False, False)
    assert (np.shape(raw), value.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
    np.testing.assert_array_equal(raw, wanted)
    np.testing.assert_array_equal(value.data, wanted)


@pytest.mark.parametrize("name", ["all", "any", "count_nonzero"])
def test_several_axes(name):
    """Truths and counts reduce several axes at once."""
    found = ops[f"autodiff_ops.{name}"](X[None], axis=(0, -1))
    assert found.tolist() == getattr(np, name)(X[None], axis=(0, 2)).tolist()


def test_answers_work_as_an_index_and_a_condition():
    """What argmax gives selects, and what any gives decides."""
    x = Value(X)
    x[0, x[0].argmax()].backward()
    assert x.grad.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert (bool((x > 2).any()), bool((x > 2).all())) == (True, False)
