"""Logic and bits: values are NumPy's, dtypes are kept, no gradient flows."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.errors import ArgumentTypeError

T, F = True, False


@pytest.mark.parametrize(
    ("name", "expected"), [("and", [T, F, F, F]), ("or", [T, T, T, F]), ("xor", [F, T, T, F])], ids=["and", "or", "xor"]
)
@pytest.mark.parametrize("kind", [bool, int, float])
def test_tables_of_truth(name, expected, kind):
    """Numbers count as true unless they are 0; the result is boolean, and needs no gradient."""
    a, b = Value(np.array([T, T, F, F], kind)), Value(np.array([T, F, T, F], kind))
    y = ops[f"autodiff_ops.logical_{name}"](a, b)
    assert (y.data.tolist(), y.dtype, y.requires_grad) == (expected, np.bool_, False)


def test_not():
    """The opposite of each."""
    assert ops.logical_not(Value(np.array([T, F]))).data.tolist() == [F, T]


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_shifts(dtype):
    """Bits move up and down, and the dtype stays."""
    x = np.array([1, 6, 13], dtype)
    up, down = ops.bitwise_left_shift(x, 2), ops.bitwise_right_shift(x, np.array([0, 1, 2], dtype))
    assert ((up.tolist(), str(up.dtype)), (down.tolist(), str(down.dtype))) == (
        ([4, 24, 52], dtype),
        ([1, 3, 3], dtype),
    )


def test_the_sign_is_kept_when_bits_move_down():
    """Negative numbers stay negative."""
    assert ops.bitwise_right_shift(np.array([-8, -1]), 1).tolist() == [-4, -1]


def test_numpys_own_names():
    """NumPy's spellings, given a Value, reach the ops."""
    v = Value(np.array([1, 2]))
    assert (np.left_shift(v, 1).data.tolist(), np.right_shift(v, 1).data.tolist()) == ([2, 4], [0, 1])


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_and"])
def test_bits_of_floats_are_refused(name):
    """The error names the op and what it was given."""
    with pytest.raises(ArgumentTypeError, match=f"autodiff_ops.{name}.*float64"):
        ops[f"autodiff_ops.{name}"](np.array([1.0]), np.array([1.0]))
