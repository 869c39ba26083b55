"""Products of vectors and arrays: agreement with PyTorch, real and complex, and shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(3, 4))
Z, W = A + 1j * A[::-1], B + 1j * B[::-1]


@pytest.mark.parametrize(("x1", "x2"), [(A, B), (B, A), (Z, W), (W, Z)], ids=["real", "flipped", "complex", "both"])
@pytest.mark.parametrize("axis", [-1, -2])
def test_vecdot_as_pytorch(x1, x2, axis):
    """Values and gradients are PyTorch's; the first factor is conjugated, the rest broadcasts."""
    torch = pytest.importorskip("torch")
    compare(lambda a, b: ops.vecdot(a, b, axis=axis), lambda a, b: torch.linalg.vecdot(a, b, dim=axis), x1, x2)


@pytest.mark.parametrize(("x1", "x2"), [(A[0, 0], B[:, 0]), (Z[0, 0], W[:, 0])], ids=["real", "complex"])
def test_outer_as_pytorch(x1, x2):
    """Values and gradients are PyTorch's; nothing is conjugated."""
    compare(ops.outer, "outer", x1, x2)


@pytest.mark.parametrize(("x1", "x2"), [(A, B), (B, A), (Z, W), (A[0, 0], B)])
def test_kron_as_pytorch(x1, x2):
    """Values and gradients are PyTorch's, also of different numbers of axes."""
    compare(ops.kron, "kron", x1, x2)


@pytest.mark.parametrize("axes", [2, ((1, 2), (0, 1)), ((-1,), (-1,)), ((2, 1), (1, 0))])
def test_tensordot_as_pytorch(axes):
    """Values and gradients are PyTorch's, real and complex."""
    torch = pytest.importorskip("torch")
    for x1, x2 in ((A, B), (Z, W)):
        compare(lambda a, b: ops.tensordot(a, b, axes=axes), lambda a, b: torch.tensordot(a, b, axes), x1, x2)


def test_mixed_arguments():
    """Lists, arrays and Values meet, and float32 stays what it is."""
    x = Value(np.array([1.0, 2.0], np.float32))
    assert ops.outer(x, np.ones(2, np.float32)).dtype == np.float32
    assert ops.vecdot(x, [1, 2]).data.tolist() == 5.0
    assert ops.kron([1.0, 2.0], [1.0, 10.0]).tolist() == [1.0, 10.0, 2.0, 20.0]
    assert ops.tensordot([1.0, 2.0], [3.0, 4.0], axes=1).tolist() == 11.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ops.vecdot(Value(A), B[:, :1]), "differ in size"),
        (lambda: ops.vecdot(Value(A), B, axis=3), "axis 3"),
        (lambda: ops.tensordot(Value(A), B, axes=3), "axes=3"),
        (lambda: ops.tensordot(Value(A), B, axes=-1), "axes=-1"),
        (lambda: ops.tensordot(Value(A), B, axes=(0, 1)), r"\(2,\) and \(4,\)"),
        (lambda: ops.tensordot(Value(A), B, axes=((0, 0), (0, 1))), "twice"),
        (lambda: ops.tensordot(Value(A), B, axes=(5, 0)), "axis 5"),
    ],
)
def test_shapes_that_do_not_fit(call, said):
    """Sizes that differ and axes that do not exist are errors that say which."""
    with pytest.raises(AutodiffError, match=said):
        call()
