"""Other shapes and orders: agreement with PyTorch, and errors that name the axis."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.parametrize(
    ("name", "attrs", "theirs", "args"),
    [
        ("matrix_transpose", {}, "adjoint", ()),
        ("moveaxis", {"source": 0, "destination": -1}, "moveaxis", (0, -1)),
        ("moveaxis", {"source": (-1, 0), "destination": (0, 1)}, "moveaxis", ((-1, 0), (0, 1))),
        ("swapaxes", {"axis1": 0, "axis2": -1}, "swapaxes", (0, -1)),
        ("expand_dims", {"axis": -2}, "unsqueeze", (-2,)),
        ("flip", {"axis": (0, -1)}, "flip", ((0, -1),)),
        ("flip", {"axis": None}, "flip", ((0, 1, 2),)),
        ("roll", {"shift": 5, "axis": 1}, "roll", (5, 1)),
        ("roll", {"shift": -5}, "roll", (-5,)),
        ("roll", {"shift": (1, -2), "axis": (0, 2)}, "roll", ((1, -2), (0, 2))),
    ],
)
def test_one_array_as_pytorch(name, attrs, theirs, args):
    """Values and gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    compare(lambda x: ops[f"autodiff_ops.{name}"](x, **attrs), lambda x: getattr(torch, theirs)(x, *args), X)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_stack_and_unstack_as_pytorch(axis):
    """Values and gradients are PyTorch's, also of a part alone."""
    torch = pytest.importorskip("torch")
    compare(lambda *xs: ops.stack(*xs, axis=axis), lambda *xs: torch.stack(xs, axis), X, X[::-1].copy())
    compare(lambda x: ops.unstack(x, axis=axis)[1], lambda x: torch.unbind(x, axis)[1], X)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 3)])
def test_squeeze(axis):
    """Unit axes go, all of them or those named, and the gradient has them back."""
    x = Value(X[:1, :, :1, None])
    y = ops.squeeze(x, axis=axis)
    y.sum().backward()
    assert (y.shape, x.grad.shape) == (np.squeeze(x.data, axis).shape, x.shape)


def test_stack_undoes_unstack():
    """Stacking the slices along an axis gives the array back, of lists and of numbers too."""
    assert ops.stack(*ops.unstack(X, axis=1), axis=1).tolist() == X.tolist()
    assert ops.stack([1.0, 2.0], [3.0, 4.0]).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert ops.stack(Value(1.0), 2.0).data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: ops.squeeze(x, axis=1), r"axis 1 of shape \(2, 3, 4\)"),
        (lambda x: ops.squeeze(x, axis=3), "axis 3"),
        (lambda x: ops.expand_dims(x, axis=4), "axis 4"),
        (lambda x: ops.expand_dims(x, axis=(0, 0)), "twice"),
        (lambda x: ops.moveaxis(x, source=(0, 1), destination=2), "2 axes"),
        (lambda x: ops.moveaxis(x, source=(0, -3), destination=(0, 1)), "twice"),
        (lambda x: ops.swapaxes(x, axis1=0, axis2=3), "axis 3"),
        (lambda x: ops.swapaxes(x, axis1=0, axis2=1.0), r"axis 1\.0"),
        (lambda x: ops.matrix_transpose(x[0, 0]), r"\(4,\)"),
        (lambda x: ops.unstack(x[:0]), "no slices"),
        (lambda x: ops.unstack(x, axis=3), "axis 3"),
        (lambda x: ops.stack(), "at least one"),
        (lambda x: ops.stack(x, x[0]), "stack"),
        (lambda x: ops.flip(x, axis=3), "flip"),
        (lambda x: ops.roll(x, shift=1, axis=3), "roll"),
    ],
)
def test_what_cannot_be_done_says_why(call, said):
    """Axes that do not exist, or do not fit, are errors that name them."""
    with pytest.raises(AutodiffError, match=said):
        call(Value(X))
